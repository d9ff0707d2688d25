//! Whether the code at an address is our escrow: the artifact's runtime bytecode with its immutables masked.

use std::sync::LazyLock;

use alloy::primitives::{Address, Bytes};
use alloy::providers::Provider;
use serde::Deserialize;

use super::{Chain, ChainError};

const ARTIFACT: &str = include_str!("../../contracts/artifacts/PreauthEscrow.json");

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    deployed_bytecode: Bytes,
    immutable_references: Vec<Immutable>,
}

#[derive(Deserialize)]
struct Immutable {
    start: usize,
    length: usize,
}

// `None` is a broken artifact, which a unit test excludes.
static EXPECTED: LazyLock<Option<Artifact>> = LazyLock::new(|| serde_json::from_str(ARTIFACT).ok());

/// The code at an address is not the escrow this daemon was built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeMismatch {
    #[error("there is no contract")]
    Nothing,
    #[error("there is another contract")]
    Other,
}

impl Chain {
    /// Compares the code at `escrow` with the artifact.
    pub async fn check_escrow_code(&self, escrow: Address) -> Result<Result<(), CodeMismatch>, ChainError> {
        let code = self.provider.get_code_at(escrow).await?;
        let expected = EXPECTED
            .as_ref()
            .ok_or_else(|| ChainError::Unusable("the embedded artifact is broken".into()))?;
        Ok(compare(&code, expected))
    }
}

fn compare(code: &Bytes, expected: &Artifact) -> Result<(), CodeMismatch> {
    if code.is_empty() {
        return Err(CodeMismatch::Nothing);
    }
    let mut code = code.to_vec();
    for immutable in &expected.immutable_references {
        let end = immutable.start + immutable.length;
        code.get_mut(immutable.start..end).ok_or(CodeMismatch::Other)?.fill(0);
    }
    if code == expected.deployed_bytecode { Ok(()) } else { Err(CodeMismatch::Other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_immutables_may_differ() {
        let expected = EXPECTED.as_ref().expect("the artifact is readable");
        assert!(!expected.immutable_references.is_empty());
        let mut code = expected.deployed_bytecode.to_vec();
        let immutable = &expected.immutable_references[0];
        code[immutable.start] = 0xaa;
        assert_eq!(compare(&code.clone().into(), expected), Ok(()));
        code[0] ^= 1;
        assert_eq!(compare(&code.into(), expected), Err(CodeMismatch::Other));
        assert_eq!(compare(&Bytes::new(), expected), Err(CodeMismatch::Nothing));
    }
}
