//! Documents of parties: what they are for, what they must be like, and where they stand.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{CheckVerdict, FailureReason};

/// A document's name for everybody outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DocumentId(pub Uuid);

impl fmt::Display for DocumentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What a document is to show. Where something of the same name is required, it is what meets that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentPurpose {
    Identity,
    ProofOfAddress,
    /// That a business exists, and under which law.
    Company,
    /// It belongs to the justification of a failed verification.
    Supporting,
    Other,
}

impl DocumentPurpose {
    pub const ALL: [Self; 5] =
        [Self::Identity, Self::ProofOfAddress, Self::Company, Self::Supporting, Self::Other];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity_documents",
            Self::ProofOfAddress => "proof_of_address",
            Self::Company => "company_documents",
            Self::Supporting => "supporting",
            Self::Other => "other",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == text)
    }

    /// Whether the provider is asked about it. Everything else is for people to look at.
    #[must_use]
    pub fn is_checked(self) -> bool {
        match self {
            Self::Identity | Self::ProofOfAddress | Self::Company => true,
            Self::Supporting | Self::Other => false,
        }
    }
}

/// Which side of a document is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentSide {
    Front,
    Back,
    /// The person, with or without the document.
    Selfie,
}

impl DocumentSide {
    pub const ALL: [Self; 3] = [Self::Front, Self::Back, Self::Selfie];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Front => "front",
            Self::Back => "back",
            Self::Selfie => "selfie",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|side| side.as_str() == text)
    }
}

/// Where a document stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentState {
    /// It is being checked.
    Pending,
    Accepted,
    Refused,
}

impl DocumentState {
    pub const ALL: [Self; 3] = [Self::Pending, Self::Accepted, Self::Refused];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// State and reason after a verdict; `None`: it has been checked before.
    #[must_use]
    pub fn after(self, verdict: CheckVerdict) -> Option<(Self, Option<FailureReason>)> {
        match (self, verdict) {
            (Self::Pending, CheckVerdict::Passed) => Some((Self::Accepted, None)),
            (Self::Pending, CheckVerdict::Failed(reason)) => Some((Self::Refused, Some(reason))),
            (Self::Accepted | Self::Refused, CheckVerdict::Passed | CheckVerdict::Failed(_)) => None,
        }
    }
}

/// What kind of file a document is, by what is in it and not by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaType {
    #[serde(rename = "image/jpeg")]
    Jpeg,
    #[serde(rename = "image/png")]
    Png,
    #[serde(rename = "application/pdf")]
    Pdf,
}

impl MediaType {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Pdf => "application/pdf",
        }
    }
}

/// Why a file is no document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DocumentFlaw {
    #[error("must not be empty")]
    Empty,
    #[error("must have at most 4 MiB")]
    TooLarge,
    #[error("must be a JPEG, a PNG or a PDF")]
    UnknownType,
    /// It would be something else to another program than to whoever looked at it.
    #[error("must be one file and not two in one")]
    Polyglot,
}

/// Bytes of a document at most.
pub const MAX_DOCUMENT_BYTES: usize = 4 * 1024 * 1024;

/// What readers of PDF look for, not only at the beginning.
const PDF: &[u8] = b"%PDF-";
/// What readers of ZIP (and of office documents, and Java) look for at the end.
const ZIP_END: &[u8] = b"PK\x05\x06";
/// What browsers would run. In letters of either case.
const ACTIVE: [&[u8]; 5] = [b"<script", b"<html", b"<!doctype", b"<?php", b"<svg"];
/// What ends a PNG, with its checksum.
const PNG_END: &[u8] = b"IEND\xae\x42\x60\x82";

/// Looks at the bytes of a document.
///
/// # Errors
/// [`DocumentFlaw`].
pub fn inspect(bytes: &[u8]) -> Result<MediaType, DocumentFlaw> {
    if bytes.is_empty() {
        return Err(DocumentFlaw::Empty);
    }
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(DocumentFlaw::TooLarge);
    }
    let media_type = match infer::get(bytes).map(|kind| kind.mime_type()) {
        Some("image/jpeg") => MediaType::Jpeg,
        Some("image/png") => MediaType::Png,
        // Some readers, and this one, look past what stands before it.
        Some("application/pdf") if bytes.starts_with(PDF) => MediaType::Pdf,
        _ => return Err(DocumentFlaw::UnknownType),
    };
    if is_something_else(bytes, media_type) { Err(DocumentFlaw::Polyglot) } else { Ok(media_type) }
}

fn is_something_else(bytes: &[u8], media_type: MediaType) -> bool {
    if find(bytes, ZIP_END).is_some() {
        return true;
    }
    match media_type {
        // Its own texts may speak of anything.
        MediaType::Pdf => false,
        MediaType::Jpeg => is_active(bytes),
        MediaType::Png => {
            let after = find(bytes, PNG_END).and_then(|end| bytes.get(end + PNG_END.len()..));
            is_active(bytes) || after.is_some_and(|rest| !rest.is_empty())
        }
    }
}

fn is_active(image: &[u8]) -> bool {
    let lower = image.to_ascii_lowercase();
    find(image, PDF).is_some() || ACTIVE.into_iter().any(|mark| find(&lower, mark).is_some())
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

/// What is known of a document beside its bytes. It is personal, and kept like them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentLabel {
    /// What kind of document it is, in the words of whoever brought it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<DocumentSide>,
    /// Of the authority that issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    pub file_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Date>,
}

impl fmt::Debug for DocumentLabel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DocumentLabel(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";
    const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01";

    fn with(start: &[u8], rest: &[u8]) -> Vec<u8> {
        [start, rest].concat()
    }

    #[test]
    fn a_document_is_what_its_bytes_say() {
        assert_eq!(inspect(PNG), Ok(MediaType::Png));
        assert_eq!(inspect(&with(PNG, b"\0\0\0\0IEND\xae\x42\x60\x82")), Ok(MediaType::Png));
        assert_eq!(inspect(JPEG), Ok(MediaType::Jpeg));
        assert_eq!(inspect(b"%PDF-1.7 <html>"), Ok(MediaType::Pdf));
        assert_eq!(inspect(b""), Err(DocumentFlaw::Empty));
        for other in [b"GIF89a".as_slice(), b"PK\x03\x04", b"<svg/>", b"MZ", b"hello", b" %PDF-1.7"] {
            assert_eq!(inspect(other), Err(DocumentFlaw::UnknownType), "{other:?}");
        }
        let mut large = JPEG.to_vec();
        large.resize(MAX_DOCUMENT_BYTES, 0);
        assert_eq!(inspect(&large), Ok(MediaType::Jpeg));
        large.push(0);
        assert_eq!(inspect(&large), Err(DocumentFlaw::TooLarge));
    }

    #[test]
    fn two_files_in_one_are_none() {
        for two in [
            with(JPEG, b"%PDF-1.4"),
            with(JPEG, b"PK\x05\x06"),
            with(JPEG, b"<ScRiPt>"),
            with(PNG, b"<?PHP"),
            with(PNG, b"IEND\xae\x42\x60\x82x"),
            with(b"%PDF-1.7", b"PK\x05\x06"),
        ] {
            assert_eq!(inspect(&two), Err(DocumentFlaw::Polyglot), "{two:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_brought_is_judged(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let _ = inspect(&bytes);
            let judged = inspect(&with(JPEG, &[bytes.as_slice(), b"<html"].concat()));
            prop_assert_eq!(judged, Err(DocumentFlaw::Polyglot));
        }

        #[test]
        fn a_document_is_checked_once(first in any::<bool>(), second in any::<bool>()) {
            let verdict = |passed| if passed {
                CheckVerdict::Passed
            } else {
                CheckVerdict::Failed(FailureReason::Refused)
            };
            let (state, _) = DocumentState::Pending.after(verdict(first)).unwrap();
            prop_assert!(state.after(verdict(second)).is_none());
        }
    }
}
