//! The body of `POST /tenant/business-user`, and what it comes to: a profile, documents, and what must be this business's alone.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use utoipa::ToSchema;

use super::fields::{birthday, content, name, short, today, whole};
use crate::http::error::ApiError;
use crate::http::shape::Shape;
use crate::model::{
    Claim, ClaimKind, Country, DocumentLabel, DocumentPurpose, Email, Phone, PostalAddress, Profile,
};
use crate::onboarding::DocumentWish;

/// How deep owners may own owners.
const DEEPEST: usize = 5;

/// A business to be. `taxIdNumber` is the old name of `taxId`.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BusinessUser {
    #[schema(min_length = 1, max_length = 511)]
    business_user_legal_name: String,
    /// One business's alone.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$")]
    domain: String,
    #[schema(max_length = 511)]
    account_address: Option<String>,
    #[schema(min_length = 1, max_length = 511)]
    business_user_name: String,
    #[schema(max_length = 511)]
    custom_namespace: Option<String>,
    #[schema(max_length = 511)]
    provider: Option<String>,
    business_user_address: BusinessAddress,
    #[schema(max_length = 511)]
    business_entity_name: Option<String>,
    /// Business entity identifier sent to compliance.
    #[schema(max_length = 511)]
    business_entity_id: Option<String>,
    incorporation_docs: Option<BusinessDocument>,
    jurisdiction_docs: Option<BusinessDocument>,
    #[serde(default)]
    #[schema(required = false)]
    other_docs: Vec<BusinessDocument>,
    #[serde(default)]
    #[schema(required = false)]
    entity_beneficial_owners: Vec<EntityOwner>,
    #[serde(default)]
    #[schema(required = false)]
    individual_beneficial_owners: Vec<IndividualOwner>,
    memo_fields: Option<NamedValue>,
    #[schema(max_length = 511)]
    bank_verification_number: Option<String>,
    /// One business's alone.
    #[schema(format = "email")]
    business_user_email: String,
    /// Tax ID for business user.
    #[schema(max_length = 511)]
    tax_id: Option<String>,
    /// Tax id number of business user. Deprecated: `taxId`.
    #[schema(max_length = 511)]
    tax_id_number: Option<String>,
    #[schema(pattern = "^\\+?[0-9 ./()-]{4,32}$")]
    phone_number: Option<String>,
    control_persons: Option<OneOrMany>,
    registered_office_address: Option<BusinessAddress>,
    proof_of_address: Option<BusinessDocument>,
    #[serde(default)]
    #[schema(required = false)]
    signatories: Vec<Person>,
    #[serde(default)]
    #[schema(required = false)]
    governing_documents: Vec<BusinessDocument>,
    #[schema(max_length = 511)]
    client_token: Option<String>,
    #[schema(max_length = 511)]
    badge_id: Option<String>,
}

/// An address.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BusinessAddress {
    #[schema(min_length = 1, max_length = 511)]
    address1: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 511)]
    address2: Option<String>,
    #[schema(min_length = 1, max_length = 511)]
    city: String,
    #[schema(max_length = 511)]
    state: Option<String>,
    #[schema(min_length = 2, max_length = 2)]
    iso_country_code: String,
    #[schema(max_length = 511)]
    postal_code: Option<String>,
}

/// A document. Its content is not kept with the rest of the body.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BusinessDocument {
    #[schema(min_length = 1, max_length = 511)]
    document_type: String,
    #[schema(min_length = 1, max_length = 511)]
    file_name: String,
    /// In base64, with or without the head of a data URL: a JPEG, PNG or PDF of at most 4 MiB.
    #[serde(skip_serializing)]
    content: String,
    #[schema(min_length = 2, max_length = 2)]
    country_code: Option<String>,
}

/// A business that owns the business, at most five deep.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EntityOwner {
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 100)]
    ownership_percentage: Option<Number>,
    #[schema(value_type = Option<u32>)]
    ownership_type: Option<u32>,
    #[serde(default)]
    #[schema(required = false, no_recursion)]
    entity_beneficial_owners: Vec<EntityOwner>,
    #[serde(default)]
    #[schema(required = false)]
    individual_beneficial_owners: Vec<IndividualOwner>,
    #[serde(default)]
    #[schema(required = false)]
    control_persons: Vec<Person>,
    incorporation_docs: Option<BusinessDocument>,
    jurisdiction_docs: Option<BusinessDocument>,
    #[schema(max_length = 511)]
    legal_name: Option<String>,
    #[schema(max_length = 511)]
    tax_id_number: Option<String>,
    #[schema(max_length = 511)]
    tax_country: Option<String>,
    #[schema(max_length = 511)]
    tax_state: Option<String>,
    #[schema(pattern = "^\\+?[0-9 ./()-]{4,32}$")]
    phone_number: Option<String>,
    address: Option<BusinessAddress>,
    #[schema(max_length = 511)]
    bvn: Option<String>,
    proof_of_address: Option<BusinessDocument>,
}

/// A person who owns the business.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IndividualOwner {
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 100)]
    ownership_percentage: Option<Number>,
    #[schema(value_type = Option<u32>)]
    ownership_type: Option<u32>,
    #[schema(max_length = 511)]
    title: Option<String>,
    identification: Option<BusinessDocument>,
    is_control_person: Option<bool>,
    other_docs: Option<BusinessDocument>,
    #[schema(format = "date")]
    dob: Option<String>,
    #[schema(format = "email")]
    email: Option<String>,
    #[schema(min_length = 1, max_length = 511)]
    first_name: String,
    #[schema(min_length = 1, max_length = 511)]
    last_name: String,
    #[schema(pattern = "^\\+?[0-9 ./()-]{4,32}$")]
    phone_number: Option<String>,
    #[schema(max_length = 511)]
    phone_type: Option<String>,
    #[schema(max_length = 511)]
    tax_id_number: Option<String>,
    #[schema(max_length = 511)]
    tax_country: Option<String>,
    #[schema(max_length = 511)]
    tax_state: Option<String>,
    address: Option<BusinessAddress>,
    #[schema(max_length = 511)]
    bank_verification_number: Option<String>,
    proof_of_address: Option<BusinessDocument>,
}

/// A person who controls the business, or signs for it.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Person {
    #[schema(max_length = 511)]
    title: Option<String>,
    identification: Option<BusinessDocument>,
    #[serde(default)]
    #[schema(required = false)]
    documents: Vec<BusinessDocument>,
    #[schema(format = "date")]
    date_of_birth: Option<String>,
    #[schema(format = "email")]
    email_address: Option<String>,
    #[schema(min_length = 1, max_length = 511)]
    first_name: String,
    #[schema(min_length = 1, max_length = 511)]
    last_name: String,
    #[schema(pattern = "^\\+?[0-9 ./()-]{4,32}$")]
    phone_number: Option<String>,
    #[schema(max_length = 511)]
    phone_number_type: Option<String>,
    #[schema(max_length = 511)]
    tax_id_number: Option<String>,
    #[schema(max_length = 511)]
    gender: Option<String>,
    address: Option<BusinessAddress>,
    #[schema(max_length = 511)]
    bvn: Option<String>,
    #[serde(default)]
    #[schema(required = false)]
    custom_attributes: Vec<NamedValue>,
    proof_of_address: Option<BusinessDocument>,
    tax: Option<BusinessTax>,
}

/// One who controls the business, or several.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    One(Box<Person>),
    Many(Vec<Person>),
}

/// Something else that is to be kept.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedValue {
    #[schema(max_length = 511)]
    name: String,
    #[schema(max_length = 511)]
    value: String,
}

/// By which a state knows a person.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BusinessTax {
    #[schema(max_length = 511)]
    id_number: Option<String>,
    #[schema(max_length = 511)]
    country: Option<String>,
    #[schema(max_length = 511)]
    state: Option<String>,
}

/// What the body comes to.
pub struct Read {
    pub profile: Profile,
    pub documents: Vec<DocumentWish>,
    pub claims: Vec<Claim>,
    /// Whether anybody is told who owns or controls the business.
    pub has_owners: bool,
    pub told: Told,
}

/// What is told of it in the answer.
pub struct Told {
    pub domain: String,
    pub name: String,
    pub email: String,
    pub phone: String,
    pub legal_name: String,
    pub tax_id: String,
    pub entity_name: String,
    pub address: BusinessAddress,
}

/// What was read so far.
struct Reading {
    shape: Shape,
    documents: Vec<DocumentWish>,
    claims: Vec<Claim>,
}

impl BusinessUser {
    /// Reads every field.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn read(mut self) -> Result<Read, ApiError> {
        let mut reading = Reading { shape: Shape::of_body(), documents: Vec::new(), claims: Vec::new() };
        let legal_name = reading.shape.read("businessUserLegalName", name(&self.business_user_legal_name));
        let user_name = reading.shape.read("businessUserName", name(&self.business_user_name));
        let domain = reading.shape.read("domain", domain(&self.domain));
        let email = reading.shape.read("businessUserEmail", Email::parse(&self.business_user_email));
        let phone = reading.phone("phoneNumber", self.phone_number.as_deref());
        let tax_id = self.tax_id.clone().or_else(|| self.tax_id_number.clone());
        if self.tax_id.is_some() && self.tax_id_number.is_some() && self.tax_id != self.tax_id_number {
            reading.shape.read::<(), _>("taxIdNumber", Err("must be taxId, where both are there"));
        }
        let address = reading.address("businessUserAddress", &self.business_user_address);
        let office = self.registered_office_address.as_ref();
        let office = office.map(|address| reading.address("registeredOfficeAddress", address));
        for (field, text) in [
            ("accountAddress", &self.account_address),
            ("customNamespace", &self.custom_namespace),
            ("provider", &self.provider),
            ("businessEntityName", &self.business_entity_name),
            ("businessEntityId", &self.business_entity_id),
            ("bankVerificationNumber", &self.bank_verification_number),
            ("taxId", &tax_id),
            ("clientToken", &self.client_token),
            ("badgeId", &self.badge_id),
        ] {
            reading.text(field, text.as_deref());
        }
        reading.named("memoFields", self.memo_fields.as_slice());
        let company = DocumentPurpose::Company;
        reading.document("incorporationDocs", company, self.incorporation_docs.as_mut());
        reading.document("jurisdictionDocs", company, self.jurisdiction_docs.as_mut());
        reading.document("proofOfAddress", DocumentPurpose::ProofOfAddress, self.proof_of_address.as_mut());
        reading.documents("otherDocs", &mut self.other_docs);
        reading.documents("governingDocuments", &mut self.governing_documents);
        let mut has_owners = self.control_persons.is_some();
        has_owners |=
            !self.individual_beneficial_owners.is_empty() || !self.entity_beneficial_owners.is_empty();
        reading.entities("entityBeneficialOwners", &mut self.entity_beneficial_owners, 1);
        reading.individuals("individualBeneficialOwners", &mut self.individual_beneficial_owners);
        match &mut self.control_persons {
            None => {}
            Some(OneOrMany::One(person)) => reading.person("controlPersons", person, true),
            Some(OneOrMany::Many(people)) => reading.people("controlPersons", people, true),
        }
        reading.people("signatories", &mut self.signatories, false);
        let particulars = match serde_json::to_value(&self) {
            Ok(Value::Object(particulars)) => particulars,
            _ => return Err(ApiError::internal()),
        };
        let (Some(legal_name), Some(user_name), Some(domain), Some(email)) =
            (legal_name, user_name, domain, email)
        else {
            return Err(reading.shape.refused());
        };
        let (Some(phone), Some(address), Some(office)) = (phone, address, whole(office)) else {
            return Err(reading.shape.refused());
        };
        let Reading { shape, documents, mut claims } = reading;
        shape.must_be_good()?;
        claims.extend([
            Claim::new(ClaimKind::Domain, &domain),
            Claim::new(ClaimKind::Email, email.as_str()),
            Claim::new(ClaimKind::BusinessName, &user_name),
        ]);
        let told = Told {
            domain,
            name: user_name,
            email: email.as_str().to_owned(),
            phone: self.phone_number.unwrap_or_default(),
            legal_name: legal_name.clone(),
            tax_id: tax_id.clone().unwrap_or_default(),
            entity_name: self.business_entity_name.unwrap_or_default(),
            address: self.business_user_address,
        };
        let profile = Profile {
            phone,
            email: Some(email),
            legal_name: Some(legal_name),
            main_address: Some(address),
            postal_address: office,
            legal_identifier: tax_id,
            particulars,
            ..Profile::default()
        };
        Ok(Read { profile, documents, claims, has_owners, told })
    }
}

fn domain(text: &str) -> Result<String, &'static str> {
    let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if begins && text.len() <= 63 && text.bytes().all(is_sign) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("must have 1 to 63 letters, digits, dots and hyphens")
    }
}

impl Reading {
    fn text(&mut self, field: &str, text: Option<&str>) {
        self.shape.read_optional(field, text.map(|text| short(text.to_owned())));
    }

    fn named(&mut self, field: &str, values: &[NamedValue]) {
        for value in values {
            self.text(field, Some(&value.name));
            self.text(field, Some(&value.value));
        }
    }

    fn name(&mut self, field: &str, text: &str) {
        self.shape.read(field, name(text));
    }

    /// A number that is written for its own country cannot be told from a wrong one; with a plus it has to be one.
    fn phone(&mut self, field: &str, text: Option<&str>) -> Option<Option<Phone>> {
        let Some(text) = text else { return Some(None) };
        if text.starts_with('+') {
            return self.shape.read(field, Phone::parse_international(text)).map(Some);
        }
        let is_number = (4..=32).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit() || b" -./()".contains(&byte));
        let read = if is_number { Ok(None) } else { Err("must be a phone number") };
        self.shape.read(field, read)
    }

    fn address(&mut self, field: &str, address: &BusinessAddress) -> Option<PostalAddress> {
        let line1 = self.shape.read(&format!("{field}.address1"), name(&address.address1));
        let line2 = address.address2.clone().map(short);
        let line2 = self.shape.read_optional(&format!("{field}.address2"), line2);
        let city = self.shape.read(&format!("{field}.city"), name(&address.city));
        let state = self.shape.read_optional(&format!("{field}.state"), address.state.clone().map(short));
        let code = address.postal_code.clone().map(short);
        let code = self.shape.read_optional(&format!("{field}.postalCode"), code);
        let country = Country::parse(&address.iso_country_code);
        let country = self.shape.read(&format!("{field}.isoCountryCode"), country);
        Some(PostalAddress {
            line1: line1?,
            line2: line2?,
            city: city?,
            state: state?,
            postal_code: code?,
            country: country?,
        })
    }

    fn document(&mut self, field: &str, purpose: DocumentPurpose, document: Option<&mut BusinessDocument>) {
        let Some(document) = document else { return };
        let kind = self.shape.read(&format!("{field}.documentType"), name(&document.document_type));
        let file_name = self.shape.read(&format!("{field}.fileName"), name(&document.file_name));
        let country = document.country_code.as_deref().map(Country::parse);
        let country = self.shape.read_optional(&format!("{field}.countryCode"), country);
        let bytes =
            self.shape.read(&format!("{field}.content"), content(&std::mem::take(&mut document.content)));
        let (Some(kind), Some(file_name), Some(country), Some(bytes)) = (kind, file_name, country, bytes)
        else {
            return;
        };
        let label = DocumentLabel {
            kind: Some(kind),
            side: None,
            country: country.map(|country| country.as_str().to_owned()),
            file_name,
            valid_from: None,
            valid_until: None,
        };
        self.documents.push(DocumentWish { purpose, label, bytes });
    }

    fn documents(&mut self, field: &str, documents: &mut [BusinessDocument]) {
        for (index, document) in documents.iter_mut().enumerate() {
            self.document(&format!("{field}[{index}]"), DocumentPurpose::Other, Some(document));
        }
    }

    fn share(&mut self, field: &str, share: Option<&Number>) {
        let Some(share) = share else { return };
        let read: Option<Decimal> = share.to_string().parse().ok();
        let is_share = read.is_some_and(|share| (Decimal::ZERO..=Decimal::ONE_HUNDRED).contains(&share));
        let read = if is_share { Ok(()) } else { Err("must be a number from 0 to 100") };
        self.shape.read(&format!("{field}.ownershipPercentage"), read);
    }

    fn entities(&mut self, field: &str, owners: &mut [EntityOwner], depth: usize) {
        if depth > DEEPEST && !owners.is_empty() {
            self.shape.read::<(), _>(field, Err(format!("must not be nested more than {DEEPEST} deep")));
            return;
        }
        for (index, owner) in owners.iter_mut().enumerate() {
            let field = format!("{field}[{index}]");
            let at = |name: &str| format!("{field}.{name}");
            self.share(&field, owner.ownership_percentage.as_ref());
            for (name, text) in [
                ("legalName", &owner.legal_name),
                ("taxIdNumber", &owner.tax_id_number),
                ("taxCountry", &owner.tax_country),
                ("taxState", &owner.tax_state),
                ("bvn", &owner.bvn),
            ] {
                self.text(&at(name), text.as_deref());
            }
            self.phone(&at("phoneNumber"), owner.phone_number.as_deref());
            if let Some(address) = &owner.address {
                self.address(&at("address"), address);
            }
            let other = DocumentPurpose::Other;
            self.document(&at("incorporationDocs"), other, owner.incorporation_docs.as_mut());
            self.document(&at("jurisdictionDocs"), other, owner.jurisdiction_docs.as_mut());
            self.document(&at("proofOfAddress"), other, owner.proof_of_address.as_mut());
            self.entities(&at("entityBeneficialOwners"), &mut owner.entity_beneficial_owners, depth + 1);
            self.individuals(&at("individualBeneficialOwners"), &mut owner.individual_beneficial_owners);
            self.people(&at("controlPersons"), &mut owner.control_persons, false);
        }
    }

    fn individuals(&mut self, field: &str, owners: &mut [IndividualOwner]) {
        for (index, owner) in owners.iter_mut().enumerate() {
            let field = format!("{field}[{index}]");
            let at = |name: &str| format!("{field}.{name}");
            self.share(&field, owner.ownership_percentage.as_ref());
            self.name(&at("firstName"), &owner.first_name);
            self.name(&at("lastName"), &owner.last_name);
            for (name, text) in [
                ("title", &owner.title),
                ("phoneType", &owner.phone_type),
                ("taxIdNumber", &owner.tax_id_number),
                ("taxCountry", &owner.tax_country),
                ("taxState", &owner.tax_state),
                ("bankVerificationNumber", &owner.bank_verification_number),
            ] {
                self.text(&at(name), text.as_deref());
            }
            self.shape.read_optional(&at("dob"), owner.dob.as_deref().map(|day| birthday(day, today())));
            self.shape.read_optional(&at("email"), owner.email.as_deref().map(Email::parse));
            self.phone(&at("phoneNumber"), owner.phone_number.as_deref());
            if let Some(address) = &owner.address {
                self.address(&at("address"), address);
            }
            self.document(&at("identification"), DocumentPurpose::Identity, owner.identification.as_mut());
            self.document(&at("otherDocs"), DocumentPurpose::Other, owner.other_docs.as_mut());
            self.document(&at("proofOfAddress"), DocumentPurpose::Other, owner.proof_of_address.as_mut());
        }
    }

    fn people(&mut self, field: &str, people: &mut [Person], controls: bool) {
        for (index, person) in people.iter_mut().enumerate() {
            self.person(&format!("{field}[{index}]"), person, controls);
        }
    }

    fn person(&mut self, field: &str, person: &mut Person, controls: bool) {
        let at = |name: &str| format!("{field}.{name}");
        self.name(&at("firstName"), &person.first_name);
        self.name(&at("lastName"), &person.last_name);
        let tax = person.tax.as_ref();
        for (name, text) in [
            ("title", person.title.as_deref()),
            ("phoneNumberType", person.phone_number_type.as_deref()),
            ("taxIdNumber", person.tax_id_number.as_deref()),
            ("gender", person.gender.as_deref()),
            ("bvn", person.bvn.as_deref()),
            ("tax.idNumber", tax.and_then(|tax| tax.id_number.as_deref())),
            ("tax.country", tax.and_then(|tax| tax.country.as_deref())),
            ("tax.state", tax.and_then(|tax| tax.state.as_deref())),
        ] {
            self.text(&at(name), text);
        }
        self.named(&at("customAttributes"), &person.custom_attributes);
        let born = person.date_of_birth.as_deref().map(|day| birthday(day, today()));
        self.shape.read_optional(&at("dateOfBirth"), born);
        let email = person.email_address.as_deref().map(Email::parse);
        let email = self.shape.read_optional(&at("emailAddress"), email);
        if let (true, Some(Some(email))) = (controls, email) {
            self.claims.push(Claim::new(ClaimKind::ControllerEmail, email.as_str()));
        }
        self.phone(&at("phoneNumber"), person.phone_number.as_deref());
        if let Some(address) = &person.address {
            self.address(&at("address"), address);
        }
        self.document(&at("identification"), DocumentPurpose::Identity, person.identification.as_mut());
        self.documents(&at("documents"), &mut person.documents);
        self.document(&at("proofOfAddress"), DocumentPurpose::Other, person.proof_of_address.as_mut());
    }
}
