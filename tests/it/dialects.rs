//! The dialects of onboarding: each is spoken as its own systems speak it, and whoever came in by any of them pays and is paid.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::world::invoice;
use crate::harness::{Answer, until};
use crate::onboarding::Shop;

/// The beginning of a picture.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";
const BUSINESS: &str = include_str!("fixtures/business_user.json");
const JUSTIFICATIONS: &str = "/api/onboarding-justifications/";

/// A picture that is no other one.
fn picture(of: &str) -> String {
    STANDARD.encode([PNG, of.as_bytes()].concat())
}

impl Shop {
    async fn put(&self, path: &str, body: Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.api.send(Method::PUT, path, &headers, body.to_string().into_bytes()).await
    }

    /// A user by his external id and his party's.
    async fn user(&self, phone: &str) -> (String, String) {
        let external = invoice("user");
        let body = json!({
            "externalUserId": external, "firstName": "Amber", "lastName": "Wenny", "dateOfBirth": "1997-04-02",
            "phone": phone, "email": "amber.wenny@mail.com", "nationality": "FR",
            "address": { "street": "1 Rue de Rivoli", "city": "Paris", "postalCode": "75001", "country": "FR" },
        });
        let made = self.api.post("/v1/user", body).await.is(201);
        let data = &made.body["data"];
        assert_eq!(data["externalUserId"], external.as_str());
        (external, data["userId"].as_str().expect("an id").to_owned())
    }

    async fn bring_passport(&self, external: &str) {
        let file = json!({
            "externalUserId": external, "documentType": "PASSPORT", "side": "FRONT", "country": "FR",
            "fileName": "passport.png", "file": picture(external),
        });
        let added = self.api.post("/v1/user/kyc-file", file).await.is(201);
        assert_eq!(added.body["message"], "KYC file added successfully");
    }

    async fn ask_verification(&self, external: &str, number: &str) -> Answer {
        self.api.post("/v1/user/verification", verification(external, number)).await
    }

    /// Where a user comes to, once it is not pending any more.
    async fn verified_user(&self, external: &str) -> Answer {
        let path = format!("/v1/user/{external}/kyc-status");
        until("the verification has ended", || async {
            let status = self.api.get(&path).await.is(200);
            let pending = |file: &Value| file["status"] == "PENDING";
            let is_over = status.body["status"] != "PENDING"
                && !status.body["files"].as_array().expect("files").iter().any(pending);
            is_over.then_some(status)
        })
        .await
    }

    /// A business that is verified, by its party's id.
    async fn business(&self, name: &str) -> String {
        let made = self.api.post("/tenant/business-user", business(name)).await.is(201);
        let id =
            made.body["data"]["business_user_metadata"]["businessUserId"].as_str().expect("an id").to_owned();
        self.until_verified(&id).await;
        id
    }

    async fn until_verified(&self, party: &str) {
        until("the party is verified", || async {
            let shown = self.api.get(&format!("/parties/{party}")).await.is(200);
            (shown.text("status") == "verified").then_some(())
        })
        .await;
    }

    /// Both wallets are of these parties, and the merchant takes nobody else's.
    async fn trade_between(&self, payer: &str, payee: &str) {
        self.demand_verified_parties().await;
        self.create(&invoice("INV")).await.refused(404, "Wallet not registered");
        self.tie(payer, self.sale.sender.address, "sender").await;
        self.tie(payee, self.sale.receiver, "receiver").await;
        self.create(&invoice("INV")).await.is(201);
    }

    /// A user whose verification failed: his external id, his party's and the verification's.
    async fn failed_user(&self) -> (String, String, String) {
        let (external, party) = self.user("+33612349004").await;
        self.bring_passport(&external).await;
        self.ask_verification(&external, &external).await.is(201);
        let status = self.verified_user(&external).await;
        assert_eq!((status.text("status"), status.text("reason")), ("FAILED", "refused"));
        let verification = status.text("verificationId").to_owned();
        (external, party, verification)
    }
}

/// A verification as it is documented for users.
fn verification(external: &str, number: &str) -> Value {
    json!({
        "externalUserId": external,
        "documentType": "ID_CARD",
        "documentNumber": number.chars().filter(char::is_ascii_alphanumeric).collect::<String>(),
        "documentExpirationDate": "2090-06-11",
        "openAccountReason": "DAILY_USE",
        "incomeSource": "SALARY",
        "occupation": "IT",
        "riskLvl": "LOW",
    })
}

/// A business as it is documented, under names of its own.
fn business(name: &str) -> Value {
    let mut body: Value = serde_json::from_str(BUSINESS).expect("a fixture");
    body["domain"] = json!(name);
    body["businessUserName"] = json!(name);
    body["businessUserEmail"] = json!(format!("{name}@mail.com"));
    body["controlPersons"]["emailAddress"] = json!(format!("control.{name}@mail.com"));
    body
}

/// A name that is nobody else's, of letters and digits.
fn new_name() -> String {
    invoice("b").to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect()
}

#[track_caller]
fn coded(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{}", answer.body);
}

// ------------------------------------------------------------------ users with papers

#[tokio::test]
async fn a_user_with_papers_pays_a_business() {
    let shop = Shop::open().await;
    let (external, user) = shop.user("+33612345678").await;
    coded(&shop.ask_verification(&external, "6I12UQ171A").await, 404, "P427");
    shop.bring_passport(&external).await;
    let bill = json!({
        "externalUserId": external, "documentType": "UTILITY_BILL", "fileName": "bill.png", "file": picture("bill"),
    });
    shop.api.post("/v1/user/poa-file", bill).await.is(201);
    let begun = shop.ask_verification(&external, "6I12UQ171A").await.is(201);
    assert_eq!(begun.body, json!({ "message": "Verification documents to user added successfully" }));
    let status = shop.verified_user(&external).await;
    assert_eq!((status.text("status"), status.text("userId")), ("VERIFIED", user.as_str()));
    let files = status.body["files"].as_array().expect("files");
    assert!(files.len() == 2 && files.iter().all(|file| file["status"] == "ACCEPTED"), "{files:?}");
    let payee = shop.business(&new_name()).await;
    shop.trade_between(&user, &payee).await;
}

#[tokio::test]
async fn a_consumer_brings_the_papers_of_a_user() {
    let shop = Shop::open().await;
    shop.publish("1.0", "Pay what you owe.").await;
    let external = invoice("user");
    let phone = json!({ "countryCode": "33", "number": "612345678" });
    let body = json!({ "externalId": external, "phone": phone, "lastTermsAccepted": "1.0" });
    let consumer = shop.api.post("/consumers", body).await.is(201).text("id").to_owned();
    shop.verify_phone(&consumer).await;
    shop.bring_passport(&external).await;
    shop.ask_verification(&external, "6I12UQ171A").await.is(201);
    shop.until_verified(&consumer).await;
    let payee = shop.business(&new_name()).await;
    shop.trade_between(&consumer, &payee).await;
}

#[tokio::test]
async fn every_code_of_a_users_verification_is_told() {
    let shop = Shop::open().await;
    coded(&shop.ask_verification("nobody", "6I12UQ171A").await, 400, "P412");
    let (external, _) = shop.user("+33612345678").await;
    shop.bring_passport(&external).await;
    let mut body = verification(&external, "6I12UQ171A");
    body.as_object_mut().expect("an object").remove("riskLvl");
    let missing = shop.api.post("/v1/user/verification", body).await;
    coded(&missing, 400, "P473");
    assert_eq!(missing.body["details"], json!(["riskLvl is missing"]));
    for (field, value) in [
        ("riskLvl", json!("HUGE")),
        ("documentNumber", json!("№ 7")),
        ("documentExpirationDate", json!("2030-02-30")),
        ("documentExpirationDate", json!(20_300_611)),
        ("shoeSize", json!(43)),
    ] {
        let mut body = verification(&external, "6I12UQ171A");
        body[field] = value;
        let refused = shop.api.post("/v1/user/verification", body).await;
        coded(&refused, 400, "P403");
        assert!(
            refused.body["details"][0].as_str().is_some_and(|said| said.starts_with(field)),
            "{}",
            refused.body
        );
    }
    let mut body = verification(&external, "6I12UQ171A");
    body["documentExpirationDate"] = json!("2020-06-11");
    coded(&shop.api.post("/v1/user/verification", body).await, 400, "P446");
    shop.ask_verification(&external, "6I12UQ171A").await.is(201);
    assert_eq!(shop.verified_user(&external).await.text("status"), "VERIFIED");
    coded(&shop.ask_verification(&external, "6I12UQ171A").await, 400, "P442");

    let (other, _) = shop.user("+33612349004").await;
    shop.bring_passport(&other).await;
    coded(&shop.ask_verification(&other, "6i12 uq171a").await, 400, "P466");
    for _ in 0..5 {
        shop.ask_verification(&other, "7I12UQ171A").await.is(201);
        shop.verified_user(&other).await;
    }
    coded(&shop.ask_verification(&other, "7I12UQ171A").await, 400, "P430");
    let (silent, _) = shop.user("+33612349009").await;
    shop.bring_passport(&silent).await;
    shop.ask_verification(&silent, "8I12UQ171A").await.is(201);
    coded(&shop.ask_verification(&silent, "8I12UQ171A").await, 400, "P430");

    let nobody = shop.api.with_key("").post("/v1/user/verification", json!({})).await;
    coded(&nobody, 401, "P401");
    coded(&shop.tenant.admin.post("/v1/user/verification", json!({})).await, 403, "P401");
    let again = json!({
        "externalUserId": external, "firstName": "A", "lastName": "W", "dateOfBirth": "1997-04-02",
    });
    coded(&shop.api.post("/v1/user", again).await, 409, "P403");
}

#[tokio::test]
async fn a_file_that_is_no_document_is_refused() {
    let shop = Shop::open().await;
    let (external, _) = shop.user("+33612345678").await;
    let two_in_one = STANDARD.encode([PNG, b"%PDF-1.7"].concat());
    let large = STANDARD.encode([PNG, vec![0; 4 * 1024 * 1024].as_slice()].concat());
    for (file, why) in [
        (String::new(), "The document must not be empty"),
        ("no base64".to_owned(), "file must be a file in base64"),
        (STANDARD.encode("<html>"), "The document must be a JPEG, a PNG or a PDF"),
        (two_in_one, "The document must be one file and not two in one"),
        (large, "The document must have at most 4 MiB"),
    ] {
        let body = json!({
            "externalUserId": external, "documentType": "PASSPORT", "fileName": "passport.png", "file": file,
        });
        let refused = shop.api.post("/v1/user/kyc-file", body).await;
        coded(&refused, 400, "P403");
        assert_eq!(refused.body["details"], json!([why]));
    }
    let huge = json!({
        "externalUserId": external, "documentType": "PASSPORT", "fileName": "p.png", "file": "A".repeat(17 * 1024 * 1024),
    });
    assert_eq!(shop.api.post("/v1/user/kyc-file", huge).await.status, 413);
    let twice = json!({
        "externalUserId": external, "documentType": "PASSPORT", "fileName": "p.png", "file": picture("once"),
    });
    shop.api.post("/v1/user/kyc-file", twice.clone()).await.is(201);
    coded(&shop.api.post("/v1/user/kyc-file", twice).await, 409, "P403");
    let elsewhere = json!({ "invoiceId": "x".repeat(80 * 1024) });
    assert_eq!(
        shop.api.post("/onchain-preauth", elsewhere).await.status,
        413,
        "documents only make room for themselves"
    );
}

// ------------------------------------------------------------------ businesses

#[tokio::test]
async fn a_business_is_taken_as_it_is_documented() {
    let shop = Shop::open().await;
    let body: Value = serde_json::from_str(BUSINESS).expect("a fixture");
    let made = shop.api.post("/tenant/business-user", body).await.is(201);
    let data = &made.body["data"];
    assert_eq!((&data["domain"], &data["business_user_name"]), (&json!("jonedoe"), &json!("Jone Doe")));
    let fields = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    let answered = [
        "business_user_metadata",
        "business_user_name",
        "created_at",
        "domain",
        "end_date",
        "is_active",
        "start_date",
        "tenant_id",
    ];
    assert_eq!(fields(data), answered);
    let metadata = [
        "businessUserId",
        "businessUserMetadataId",
        "business_entity_name",
        "company_address",
        "email",
        "legal_name",
        "phone",
        "tax_id",
    ];
    assert_eq!(fields(&data["business_user_metadata"]), metadata);
}

#[tokio::test]
async fn a_business_brings_everything_at_once() {
    let shop = Shop::open().await;
    let name = new_name();
    let made = shop.api.post("/tenant/business-user", business(&name)).await.is(201);
    assert_eq!(made.body["message"], "Business user onboarded successfully");
    let data = &made.body["data"];
    assert_eq!((&data["domain"], &data["business_user_name"]), (&json!(name), &json!(name)));
    let metadata = &data["business_user_metadata"];
    assert_eq!((&metadata["legal_name"], &metadata["tax_id"]), (&json!("Jone Doe"), &json!("122-22-2332")));
    assert_eq!(metadata["company_address"]["isoCountryCode"], "US");
    let id = metadata["businessUserId"].as_str().expect("an id");
    shop.until_verified(id).await;
    let documents = shop.api.get(&format!("/parties/{id}/documents")).await.is(200);
    let documents = documents.body.as_array().expect("documents").clone();
    assert_eq!(documents.len(), BUSINESS.matches("fileName").count(), "each that is somewhere in the body");
    assert!(documents.iter().all(|document| document["mediaType"] == "image/png"));
    let path = format!("/parties/{id}/documents/{}", documents[0]["id"].as_str().expect("an id"));
    let content = shop.api.send(Method::GET, &path, &[], Vec::new()).await.is(200);
    assert_eq!(content.headers["content-type"], "image/png");
    assert_eq!(content.headers["content-disposition"], "attachment");

    // The old name of the tax id is taken, too.
    let mut old = business(&new_name());
    let tax = old["taxId"].take();
    old["taxIdNumber"] = tax;
    old.as_object_mut().expect("an object").remove("taxId");
    let made = shop.api.post("/tenant/business-user", old).await.is(201);
    assert_eq!(made.body["data"]["business_user_metadata"]["tax_id"], "122-22-2332");
}

#[track_caller]
fn refused_business(answer: &Answer, kind: &str, message: &str) {
    let expected = json!([{ "type": [{ "type": kind, "message": message }], "message": message }]);
    assert_eq!((answer.status, &answer.body), (400, &expected), "{}", answer.body);
}

#[tokio::test]
async fn what_another_business_has_is_refused() {
    let shop = Shop::open().await;
    let taken = new_name();
    shop.api.post("/tenant/business-user", business(&taken)).await.is(201);
    for (pointer, value, message) in [
        ("/domain", taken.to_uppercase(), "Business domain already exists"),
        (
            "/businessUserEmail",
            format!("{taken}@mail.com"),
            "Business user is already registered with provided email id",
        ),
        (
            "/controlPersons/emailAddress",
            format!("control.{taken}@mail.com"),
            "Business's control person is already registered with provided email id",
        ),
        ("/businessUserName", taken.clone(), "Business name already exists"),
    ] {
        let mut body = business(&new_name());
        *body.pointer_mut(pointer).expect("a field") = json!(value);
        refused_business(&shop.api.post("/tenant/business-user", body).await, "Duplicate", message);
    }
    // What was refused left nothing behind, and another tenant's names are its own.
    let parties = shop.api.get("/parties").await.is(200);
    assert_eq!(parties.body["data"].as_array().map(Vec::len), Some(1));
    let other = Shop::open().await;
    other.api.post("/tenant/business-user", business(&taken)).await.is(201);
}

#[tokio::test]
async fn what_is_wrong_with_a_business_is_named() {
    let shop = Shop::open().await;
    let deep = (0..6).fold(json!([]), |owners, _| json!([{ "entityBeneficialOwners": owners }]));
    let deep = json!([{ "entityBeneficialOwners": deep }]);
    for (pointer, value, message) in [
        ("/domain", json!("jone doe"), "domain must have 1 to 63 letters, digits, dots and hyphens"),
        ("/businessUserEmail", json!("jone"), "businessUserEmail must be an e-mail address"),
        (
            "/businessUserLegalName",
            json!("Jo\u{202e}ne"),
            "businessUserLegalName must have no invisible characters",
        ),
        (
            "/businessUserAddress/isoCountryCode",
            json!("Freedonia"),
            "businessUserAddress.isoCountryCode must be the two letters of a country, such as FR",
        ),
        ("/phoneNumber", json!("call me"), "phoneNumber must be a phone number"),
        (
            "/incorporationDocs/content",
            json!("base64,???"),
            "incorporationDocs.content must be a file in base64",
        ),
        (
            "/individualBeneficialOwners/0/ownershipPercentage",
            json!(120),
            "individualBeneficialOwners[0].ownershipPercentage must be a number from 0 to 100",
        ),
        (
            "/individualBeneficialOwners/0/dob",
            json!("2099-01-01"),
            "individualBeneficialOwners[0].dob must be a day from 1900 to today",
        ),
        (
            "/entityBeneficialOwners",
            deep,
            "entityBeneficialOwners[0].entityBeneficialOwners[0].entityBeneficialOwners[0].entityBeneficialOwners[0].\
             entityBeneficialOwners[0].entityBeneficialOwners must not be nested more than 5 deep",
        ),
        (
            "/signatories/0/dateOfBirth",
            json!("yesterday"),
            "signatories[0].dateOfBirth must be a day, such as 2030-06-11",
        ),
    ] {
        let mut body = business(&new_name());
        *body.pointer_mut(pointer).expect("a field") = value;
        refused_business(&shop.api.post("/tenant/business-user", body).await, "onboard", message);
    }
    let mut body = business(&new_name());
    body["taxIdNumber"] = json!("other");
    let message = "taxIdNumber must be taxId, where both are there";
    refused_business(&shop.api.post("/tenant/business-user", body).await, "onboard", message);
}

// ------------------------------------------------------------------ what is known of a customer

#[tokio::test]
async fn a_customer_is_shown_with_every_change() {
    let shop = Shop::open().await;
    let (external, user) = shop.user("+33612345678").await;
    shop.bring_passport(&external).await;
    shop.ask_verification(&external, "6I12UQ171A").await.is(201);
    shop.verified_user(&external).await;
    let path = format!("/tenant/customer/pii-customer-details/{user}");
    let shown = shop.api.get(&path).await.is(200);
    assert_eq!(shown.body["message"], "Customer full details fetched successfully");
    let data = &shown.body["data"];
    for (field, value) in [
        ("customerAccountId", user.as_str()),
        ("firstName", "Amber"),
        ("lastName", "Wenny"),
        ("taxId", "6I12UQ171A"),
        ("phone", "+33612345678"),
        ("dob", "1997-04-02"),
        ("occupation", "IT"),
        ("govtIdVerification", "Verified"),
        ("poaVerificationStatus", "Not Verified"),
    ] {
        assert_eq!(data[field], value, "{field}");
    }
    assert_eq!(data["address"]["isoCountryCode"], "FR");
    let history = data["historyData"].as_array().expect("a history");
    let [change] = history.as_slice() else { panic!("one change: {history:?}") };
    assert_eq!(
        (&change["oldDetails"]["occupation"], &change["newDetails"]["occupation"]),
        (&json!(""), &json!("IT"))
    );
    assert_eq!(change["newDetails"]["governmentDocuments"][0]["fileName"], "passport.png");
    let fields: Vec<&str> =
        change["newDetails"].as_object().expect("an object").keys().map(String::as_str).collect();
    let documented = "accountPurpose address annualSalary bankAccountDetails customNamespace customerAccountId dateOfBirth \
        email expectedMonthlyVolume firstName gender governmentDocuments lastName maritalStatus middleName occupation phone \
        proofOfAddress remarks selfieContent ssn tax verifiedAddress verifiedCountry verifiedDOB verifiedGender \
        verifiedIDExpirationDate verifiedIDIssueDate verifiedIDNumber verifiedName verifiedPhoto verifiedState";
    assert_eq!(fields, documented.split_whitespace().collect::<Vec<_>>());
    assert!(change["updatedBy"].as_str().is_some_and(|by| by.starts_with("key pak_")), "{change}");

    let none = shop.api.get("/tenant/customer/pii-customer-details/7").await;
    assert_eq!(
        (none.status, &none.body["errors"][1]),
        (400, &json!({ "type": "Invalid UUID", "message": "Please provide valid customer id" }),)
    );
    let other = Shop::open().await;
    let strange = other.api.get(&path).await;
    assert_eq!(
        (strange.status, &strange.body["errors"][1]),
        (
            404,
            &json!({
                "type": "No data available", "message": "There is no such customer account in the given tenant id",
            })
        )
    );
    let denied = shop.api.with_key("").get(&path).await;
    assert_eq!(denied.body, json!({ "errors": [{ "type": "Access Denied", "message": "Access Denied" }] }));
}

// ------------------------------------------------------------------ justifications

/// A form with one file.
fn form(file_name: &str, bytes: &[u8]) -> (String, Vec<u8>) {
    let boundary = "a-boundary-of-ours";
    let head = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{file_name}\"\r\n\
         content-type: image/png\r\n\r\n"
    );
    let body = [head.as_bytes(), bytes, format!("\r\n--{boundary}--\r\n").as_bytes()].concat();
    (format!("multipart/form-data; boundary={boundary}"), body)
}

#[tokio::test]
async fn a_failed_verification_is_justified_and_approved() {
    let shop = Shop::open().await;
    let (_, user, verification) = shop.failed_user().await;
    let body = json!({ "verification_uuid": verification, "user_justification": "It is my passport" });
    let path = format!("{JUSTIFICATIONS}create_justification/");
    let begun = shop.api.post(&path, body.clone()).await.is(200);
    assert_eq!(begun.text("verification_uuid"), verification);
    assert_eq!((begun.text("legal_name"), begun.text("country")), ("Amber Wenny", "FR"));
    assert_eq!(
        (begun.text("error_message"), begun.text("user_justification")),
        ("refused", "It is my passport")
    );
    let uuid = begun.text("uuid").to_owned();
    assert_eq!(shop.api.post(&path, body).await.is(200).text("uuid"), uuid, "there is one open");

    let (content_type, body) = form("letter.png", &[PNG, b"letter"].concat());
    let attach = format!("{JUSTIFICATIONS}{uuid}/attach_document/");
    let headers = [("content-type", content_type.as_str())];
    let attached = shop.api.send(Method::POST, &attach, &headers, body).await.is(200);
    assert_eq!(
        (attached.text("file_name"), &attached.body["file_size"]),
        ("letter.png", &json!(PNG.len() + 6))
    );
    let file =
        attached.text("file").strip_prefix(&shop.world.api.url).expect("a file of this daemon").to_owned();
    assert_eq!(
        shop.api.send(Method::GET, &file, &[], Vec::new()).await.is(200).headers["content-type"],
        "image/png"
    );

    // Staff decides, and nobody else.
    let staff = format!("{JUSTIFICATIONS}{uuid}/approve/");
    let writer = shop.world.key(&shop.tenant.name, &["onboarding:read", "onboarding:write"]).await;
    let denied = shop.api.with_key(&writer).post(&staff, json!({})).await;
    assert_eq!((denied.status, &denied.body), (403, &json!({ "detail": "Access Denied" })));
    let approved = shop.api.post(&staff, json!({ "staff_notes": "seen in person" })).await.is(200);
    assert_eq!(approved.text("validation_decision"), "VERIFIED");
    assert_eq!(
        (approved.text("staff_notes"), approved.body["validated_at"].is_string()),
        ("seen in person", true)
    );
    assert_eq!(approved.body["supporting_documentation"].as_array().map(Vec::len), Some(1));
    shop.until_verified(&user).await;
    let payee = shop.business(&new_name()).await;
    shop.trade_between(&user, &payee).await;

    // What is decided stays as it is.
    let path = format!("{JUSTIFICATIONS}{uuid}/");
    let decided = json!({ "detail": "The review is decided" });
    assert_eq!(shop.api.patch(&path, json!({ "user_justification": "x" })).await.is(409).body, decided);
    assert_eq!(shop.api.delete(&path).await.is(409).body, decided);
    let reject = shop.api.send(Method::POST, &format!("{path}reject/"), &[], Vec::new()).await;
    assert_eq!(reject.is(409).body, decided);
}

#[tokio::test]
async fn justifications_are_listed_changed_and_deleted() {
    let shop = Shop::open().await;
    let (_, _, first) = shop.failed_user().await;
    let (_, _, second) = shop.failed_user().await;
    let create = |verification: &str| json!({ "verification": format!("urn:uuid:{verification}") });
    let one = shop.api.post(JUSTIFICATIONS, create(&first)).await.is(201);
    let taken = shop.api.post(JUSTIFICATIONS, create(&first)).await.is(409);
    assert_eq!(taken.body, json!({ "detail": "The verification has an open review" }));
    let two = shop.api.post(JUSTIFICATIONS, create(&second)).await.is(201);
    assert_eq!(one.text("verification"), format!("urn:uuid:{first}"));
    let list = |query: &'static str| {
        let shop = &shop;
        async move {
            let page = shop.api.get(&format!("{JUSTIFICATIONS}{query}")).await.is(200);
            let all = page.body.as_array().expect("an array").clone();
            all.iter().map(|one| one["uuid"].as_str().expect("a uuid").to_owned()).collect::<Vec<_>>()
        }
    };
    assert_eq!(list("").await, [two.text("uuid"), one.text("uuid")]);
    assert_eq!(list("?page=2&page_size=1").await, [one.text("uuid")]);
    let beyond = shop.api.get(&format!("{JUSTIFICATIONS}?page=9")).await;
    assert_eq!((beyond.status, &beyond.body), (404, &json!({ "detail": "Invalid page." })));

    let path = format!("{JUSTIFICATIONS}{}/", one.text("uuid"));
    let patched = shop.api.patch(&path, json!({ "user_justification": "my brother's" })).await.is(200);
    assert_eq!(patched.text("user_justification"), "my brother's");
    assert_eq!(shop.put(&path, create(&first)).await.is(200).text("user_justification"), "", "put as it is");
    let other = shop.put(&path, create(&second)).await;
    assert_eq!(
        (other.status, &other.body),
        (404, &json!({ "detail": "Verification not found" })),
        "another's"
    );
    let rejected = shop.api.post(&format!("{path}reject/"), json!({ "staff_notes": "no" })).await.is(200);
    assert_eq!(rejected.text("validation_decision"), "FAILED");
    let path = format!("{JUSTIFICATIONS}{}/", two.text("uuid"));
    shop.api.delete(&path).await.is(204);
    assert_eq!(shop.api.get(&path).await.is(404).body, json!({ "detail": "Review not found" }));
    let stranger = Shop::open().await;
    let path = format!("{JUSTIFICATIONS}{}/", one.text("uuid"));
    assert_eq!(stranger.api.get(&path).await.is(404).body, json!({ "detail": "Review not found" }));
    assert_eq!(stranger.api.get(JUSTIFICATIONS).await.is(200).body, json!([]));
}

#[tokio::test]
async fn what_is_wrong_with_a_justification_is_named() {
    let shop = Shop::open().await;
    let missing = shop.api.post(JUSTIFICATIONS, json!({})).await;
    assert_eq!(
        (missing.status, &missing.body),
        (400, &json!({ "verification": ["verification is missing"] }))
    );
    let path = format!("{JUSTIFICATIONS}create_justification/");
    let no_uuid = shop.api.post(&path, json!({ "verification_uuid": "7" })).await;
    assert_eq!(no_uuid.is(400).body, json!({ "verification_uuid": ["verification_uuid must be a UUID"] }));
    let unknown = json!({ "verification_uuid": "019d1f7e-6c1e-7a53-b6f7-3f6d1a2b3c4d" });
    assert_eq!(
        shop.api.post(&path, unknown).await.is(404).body,
        json!({ "detail": "Verification not found" })
    );
    let (external, _) = shop.user("+33612345678").await;
    shop.bring_passport(&external).await;
    shop.ask_verification(&external, &external).await.is(201);
    let good = shop.verified_user(&external).await.text("verificationId").to_owned();
    let not_failed = shop.api.post(&path, json!({ "verification_uuid": good })).await;
    assert_eq!(not_failed.is(409).body, json!({ "detail": "The verification has not failed" }));

    let (_, _, verification) = shop.failed_user().await;
    let begun = shop.api.post(&path, json!({ "verification_uuid": verification })).await.is(200);
    let attach = format!("{JUSTIFICATIONS}{}/attach_document/", begun.text("uuid"));
    let (content_type, body) = form("page.png", b"<html>");
    let headers = [("content-type", content_type.as_str())];
    let refused = shop.api.send(Method::POST, &attach, &headers, body).await;
    assert_eq!(refused.is(400).body, json!({ "detail": "The document must be a JPEG, a PNG or a PDF" }));
    assert_eq!(shop.api.post(&attach, json!({})).await.status, 415);
    let broken = shop.api.send(Method::POST, &attach, &headers, b"nonsense".to_vec()).await;
    assert_eq!(broken.is(400).body, json!({ "detail": "The form cannot be read" }));
}

// ------------------------------------------------------------------ step by step

/// The types of what is open, and of what is not.
fn fulfillments(answer: &Answer) -> (Vec<&str>, Vec<&str>) {
    let parameter =
        &answer.body["Error"][0]["error_additional_parameter"][0]["AdditionalFulfillmentParameter"];
    let types = |list: &str| {
        let all = parameter[list].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().map(|one| one["type"].as_str().expect("a type")).collect::<Vec<_>>()
    };
    (types("all_fulfillment"), types("all_fulfillment_fulfilled"))
}

#[tokio::test]
async fn an_onboarding_shrinks_to_nothing() {
    let shop = Shop::open().await;
    let path = "/v1/user/877/user-onboarding";
    let begun = shop.api.post(path, json!({ "type": "PARTNER_USER" })).await.is(200);
    let id = begun.body["Response"][0]["Id"]["id"].as_i64().expect("a number");
    let step = |body: Value| {
        let shop = &shop;
        async move { shop.put(&format!("{path}/{id}"), body).await.is(200) }
    };
    let all = step(json!({})).await;
    let (open, fulfilled) = fulfillments(&all);
    assert_eq!(open.len(), 6, "{open:?}");
    assert!(fulfilled.is_empty());
    let first = &all.body["Error"][0]["error_additional_parameter"][0]["AdditionalFulfillmentParameter"]["all_fulfillment"]
        [0];
    let fields: Vec<&str> = first.as_object().expect("an object").keys().map(String::as_str).collect();
    for field in [
        "type",
        "reason",
        "reason_translated",
        "user_id",
        "status",
        "time_mandatory",
        "all_status_allowed",
        "id",
        "created_timestamp",
        "updated_timestamp",
    ] {
        assert!(fields.contains(&field), "{field}");
    }
    assert_eq!((&first["user_id"], &first["status"]), (&json!(877), &Value::Null));

    let home = json!({
        "street": "Rue de Rivoli", "house_number": "1", "postal_code": "75001", "city": "Paris", "country": "FR",
    });
    let told = step(json!({
        "date_of_birth": "1997-04-02", "legal_name": "Amber Wenny", "address_main": home, "address_postal": home,
    }))
    .await;
    let (open, fulfilled) = fulfillments(&told);
    assert_eq!((open.len(), fulfilled.len()), (3, 3), "{open:?} {fulfilled:?}");
    step(json!({ "phone_number": "+33612345678" })).await;
    let called = step(json!({ "phone_number_code": "123456" })).await;
    assert_eq!(fulfillments(&called).0, ["EMAIL", "IDENTIFICATION_VERIFICATION"]);
    let asked = step(json!({ "email": "amber.wenny@mail.com" })).await;
    let parameter =
        &asked.body["Error"][0]["error_additional_parameter"][0]["AdditionalFulfillmentParameter"];
    assert_eq!(parameter["all_fulfillment"][0]["status"], "IN_PROGRESS");
    let link = parameter["sandbox_email_link"].as_str().expect("a link").to_owned();
    shop.follow(&link).await.is(200);
    step(json!({ "identification": {
        "document_type": "PASSPORT", "document_country_of_issuance": "FR", "file_name": "passport.png",
        "content": picture("passport"),
    } }))
    .await;
    let done = until("nothing is open", || async {
        let answer = step(json!({})).await;
        answer.body.get("Response").is_some().then_some(answer)
    })
    .await;
    assert_eq!(done.body, json!({ "Response": [{ "Id": { "id": id } }] }));
    let parties = shop.api.get("/parties").await.is(200);
    let user = parties.body["data"][0]["id"].as_str().expect("an id").to_owned();
    let payee = shop.business(&new_name()).await;
    shop.trade_between(&user, &payee).await;
}

#[tokio::test]
async fn what_is_wrong_with_a_step_is_said() {
    let shop = Shop::open().await;
    let path = "/v1/user/878/user-onboarding";
    let said = |answer: &Answer| answer.body["Error"][0]["error_description"].as_str().map(str::to_owned);
    let other = shop.api.post(path, json!({ "type": "GUEST" })).await;
    assert_eq!((other.status, said(&other)), (400, Some("type must be one of PARTNER_USER".into())));
    let begun = shop.api.post(path, json!({ "type": "PARTNER_USER" })).await.is(200);
    let id = begun.body["Response"][0]["Id"]["id"].as_i64().expect("a number");
    assert_eq!(
        shop.api.post(path, json!({ "type": "PARTNER_USER" })).await.status,
        409,
        "there is one of each"
    );
    for (body, message) in [
        (json!({ "date_of_birth": "2.4.1997" }), "date_of_birth must be a day, such as 2030-06-11"),
        (
            json!({ "phone_number": "0612345678" }),
            "phone_number must be a phone number with a plus and the code of its country",
        ),
        (
            json!({ "address_main": { "street": "s", "city": "c", "country": "ZZ" } }),
            "address_main.country must be the two letters of a country, such as FR",
        ),
        (json!({ "shoe_size": 43 }), "shoe_size is not known here"),
    ] {
        let refused = shop.put(&format!("{path}/{id}"), body).await;
        assert_eq!((refused.status, said(&refused)), (400, Some(message.into())));
    }
    let wrong = shop.put(&format!("{path}/{id}"), json!({ "phone_number_code": "123456" })).await;
    assert_eq!((wrong.status, said(&wrong)), (409, Some("Nothing was sent that could be answered".into())));
    for strange in
        [format!("{path}/{}", id + 1), format!("/v1/user/879/user-onboarding/{id}"), format!("{path}/x")]
    {
        assert_eq!(shop.put(&strange, json!({})).await.status, 404, "{strange}");
    }
    let other = Shop::open().await;
    assert_eq!(other.put(&format!("{path}/{id}"), json!({})).await.status, 404);
}

// ------------------------------------------------------------------ repeating

#[tokio::test]
async fn a_business_that_is_sent_twice_under_a_key_is_onboarded_once() {
    let shop = Shop::open().await;
    let writer = shop.world.key(&shop.tenant.name, &["onboarding:read", "onboarding:write"]).await;
    let api = shop.api.with_key(&writer);
    let (key, body) = (invoice("key"), business(&new_name()));
    let first = api.post_under(&key, "/tenant/business-user", body.clone()).await.is(201);
    let again = api.post_under(&key, "/tenant/business-user", body.clone()).await.is(201);
    assert!(again.is_replayed());
    assert_eq!(first.body, again.body);
    let mut other = body;
    other["domain"] = json!(new_name());
    assert_eq!(api.post_under(&key, "/tenant/business-user", other).await.status, 422);
    // It takes the right that the route takes.
    let reader = shop.world.key(&shop.tenant.name, &["onboarding:read", "read", "write"]).await;
    let denied =
        shop.api.with_key(&reader).post_under(&invoice("key"), "/tenant/business-user", json!({})).await;
    assert_eq!(denied.status, 403);
}
