use std::path::Path;
use std::time::Duration;

use super::{Config, EXAMPLE, KeySource, LogFormat, OperatorSource, operators, reader};
use crate::http::{Rate, RateSettings};
use crate::keys::Kms;

const GOOD: &str = r#"
data_dir = "data"
rpc_url = "https://node.example/secret-token"
public_url = "https://pay.example/shop/"
chain_id = 1
escrow = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
escrow_block = 20_000_000
confirmations = 3
poll_interval_ms = 250
max_fee_gwei = 12.5
min_tip_gwei = 1
log_format = "json"

[[operators]]
keystore = "keys/one.json"
password_env = "ONE_PASSWORD"

[[operators]]
env = "PREAUTHD_SECOND_KEY"
"#;

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::read(Some((Path::new("/etc/preauthd.toml"), text)), variables).map_err(|error| error.to_string())
}

fn refusal(text: &str, variables: &[(&str, &str)]) -> String {
    read(text, variables).unwrap_err()
}

#[test]
fn a_good_file_is_taken_as_written() {
    let config = read(GOOD, &[]).unwrap();
    assert_eq!(config.data_dir, Path::new("/etc/data"));
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.public_url.as_deref(), Some("https://pay.example/shop/"));
    assert_eq!((config.wallet_rpc_url, config.chain_id), (None, Some(1)));
    assert_eq!(config.escrow_block, Some(20_000_000));
    assert_eq!(config.lane.confirmations, 3);
    assert_eq!(config.lane.poll_interval, Duration::from_millis(250));
    assert_eq!(config.lane.max_fee_cap, 12_500_000_000);
    assert_eq!(config.lane.min_tip, 1_000_000_000);
    assert_eq!(config.log_format, LogFormat::Json);
    assert_eq!(config.operators.len(), 2);
    assert!(matches!(&config.operators[0].1,
        OperatorSource::Read(KeySource::Keystore { path, .. }) if path == Path::new("/etc/keys/one.json")));
}

#[tokio::test]
async fn nothing_at_all_is_a_configuration_of_defaults() {
    let config = Config::read(None, []).unwrap();
    assert_eq!(config.data_dir, Path::new("preauthd-data"));
    assert_eq!(config.rpc.is_some(), config.escrow.is_some());
    let error = config.open_operators().await.unwrap_err().to_string();
    assert!(error.contains("operators: is missing"), "{error}");
}

#[test]
fn the_environment_is_laid_over_the_file() {
    let config = read(
        GOOD,
        &[
            ("PREAUTHD_LISTEN", "0.0.0.0:9000"),
            ("PREAUTHD_CONFIRMATIONS", "12"),
            ("PREAUTHD_MIN_TIP_GWEI", "0.1"),
            ("PREAUTHD_OPERATORS__0__ENV", "OTHER_KEY"),
            ("PREAUTHD_DATA_DIR", "here"),
            ("PREAUTHD_SECOND_KEY", "not configuration"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.listen.to_string(), "0.0.0.0:9000");
    assert_eq!(config.lane.confirmations, 12);
    assert_eq!(config.lane.min_tip, 100_000_000);
    assert_eq!(config.data_dir, Path::new("here"));
    assert_eq!(config.operators.len(), 1);
}

#[test]
fn each_refusal_names_key_place_and_expectation() {
    let cases: [(&str, &[&str]); 20] = [
        (
            "listen = \"localhost\"",
            &["listen (/etc/preauthd.toml, line 1)", "127.0.0.1:8080", "\"localhost\""],
        ),
        ("\n\nlisten = 8080", &["listen (/etc/preauthd.toml, line 3)", "found 8080"]),
        ("rpc_url = \"ws://secret.example\"", &["rpc_url", "line 1", "http://"]),
        ("public_url = \"pay.example\"", &["public_url", "https://pay.example", "\"pay.example\""]),
        ("public_url = \"https://pay.example/?a\"", &["public_url", "without query"]),
        ("wallet_rpc_url = \"ws://rpc.example\"", &["wallet_rpc_url", "http://"]),
        ("chain_id = 0", &["chain_id", "at least 1", "found 0"]),
        ("chain_id = -1", &["chain_id", "found -1"]),
        ("chain_id = 1.5", &["chain_id", "whole number"]),
        ("chain_id = \"1\"", &["chain_id", "found \"1\""]),
        ("escrow = \"0x12\"", &["escrow", "40 hexadecimal digits"]),
        ("escrow = \"0xF39fd6e51aad88F6F4ce6aB8827279cffFb92266\"", &["escrow", "checksum"]),
        ("confirmations = 65", &["confirmations", "from 1 to 64"]),
        ("max_batch_gas = 20_000_000", &["max_batch_gas", "16777216"]),
        ("max_fee_gwei = -1", &["max_fee_gwei", "gwei"]),
        ("max_fee_gwei = 1\nmin_tip_gwei = 2", &["min_tip_gwei", "above max_fee_gwei"]),
        ("log_format = \"xml\"", &["log_format", "\"pretty\" or \"json\""]),
        ("log_format = true", &["log_format", "found a boolean"]),
        ("listn = \"x\"", &["listn (/etc/preauthd.toml, line 1)", "unknown key", "did you mean listen?"]),
        ("a = = b", &["line 1", "is not TOML"]),
    ];
    for (text, expected) in cases {
        let error = refusal(text, &[]);
        for part in expected {
            assert!(error.contains(part), "{text}: {part:?} is not in {error}");
        }
    }
}

#[test]
fn a_refusal_of_the_environment_names_the_variable() {
    let error = refusal("", &[("PREAUTHD_REORG_DEPTH", "deep"), ("PREAUTHD_LISTN", "1")]);
    assert!(error.contains("reorg_depth (environment variable PREAUTHD_REORG_DEPTH)"), "{error}");
    assert!(error.contains("PREAUTHD_LISTN") && error.contains("did you mean PREAUTHD_LISTEN?"), "{error}");
}

#[test]
fn all_problems_are_named_at_once() {
    let error = refusal("listen = 1\nchain_id = 0\ncolour = \"red\"", &[]);
    assert_eq!(error.lines().count(), 4, "{error}");
}

#[test]
fn an_operator_is_either_a_keystore_with_a_password_or_a_variable() {
    for text in [
        "[[operators]]\nkeystore = \"a.json\"",
        "[[operators]]\npassword_env = \"A\"",
        "[[operators]]\nkeystore = \"a.json\"\npassword_env = \"A\"\npassword_file = \"b\"",
        "[[operators]]\nkeystore = \"a.json\"\nenv = \"A\"",
        "operators = [{ keystore = \"a.json\" }]",
    ] {
        let error = refusal(text, &[]);
        assert!(error.contains("operators[0]") && error.contains("expected either env"), "{text}: {error}");
    }
    let error = refusal("operators = \"a.json\"", &[]);
    assert!(error.contains("operators (") && error.contains("a list of tables"), "{error}");
    let error = refusal("[[operators]]\nenv = \"A\"\ncolour = \"red\"", &[]);
    assert!(error.contains("operators[0].colour (/etc/preauthd.toml, line 3): unknown key"), "{error}");
}

#[test]
fn an_operator_can_be_a_key_of_a_kms() {
    const GCP: &str = "projects/shop/locations/global/keyRings/lanes/cryptoKeys/one/cryptoKeyVersions/1";
    let source = |text: &str| read(&format!("[[operators]]\n{text}"), &[]).unwrap().operators.remove(0).1;
    let (key, none) = ("4711".to_owned(), None);
    assert_eq!(
        source("aws_kms = \"4711\""),
        OperatorSource::Kms {
            kms: Kms::Aws { key: key.clone(), region: None, endpoint: none },
            address: None
        }
    );
    let (region, endpoint) = (Some("eu-central-1".to_owned()), Some("https://kms.example".to_owned()));
    let address = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    assert_eq!(
        source(&format!(
            "aws_kms = \"4711\"\nregion = \"eu-central-1\"\nendpoint = \"https://kms.example\"\naddress = \"{address}\""
        )),
        OperatorSource::Kms { kms: Kms::Aws { key, region, endpoint }, address: address.parse().ok() }
    );
    let version = GCP.parse().unwrap();
    assert_eq!(
        source(&format!("gcp_kms = \"{GCP}\"")),
        OperatorSource::Kms { kms: Kms::Gcp { version, endpoint: None }, address: None }
    );
    for endpoint in ["https://kms.example", "https://kms.example/", "http://127.0.0.1:8080"] {
        let OperatorSource::Kms { kms: Kms::Gcp { endpoint: read, .. }, .. } =
            source(&format!("gcp_kms = \"{GCP}\"\nendpoint = \"{endpoint}\""))
        else {
            panic!("no key of Google Cloud KMS")
        };
        assert_eq!(read.as_deref(), Some(endpoint));
    }
    for endpoint in ["https://kms.example:8443", "https://kms.example/path", "https://me@kms.example"] {
        let error = refusal(&format!("[[operators]]\ngcp_kms = \"{GCP}\"\nendpoint = \"{endpoint}\""), &[]);
        assert!(
            error.contains("operators[0].endpoint") && error.contains("without a port"),
            "{endpoint}: {error}"
        );
    }
    for (text, said) in [
        ("aws_kms = \"4711\"\nenv = \"A\"", "operators[0] (/etc/preauthd.toml, line 3): expected either env"),
        ("env = \"A\"\nregion = \"eu-central-1\"", "expected either env"),
        ("gcp_kms = \"one\"", "operators[0].gcp_kms (/etc/preauthd.toml, line 2): expected projects/"),
        ("aws_kms = \"4711\"\nendpoint = \"kms.example\"", "operators[0].endpoint"),
        ("aws_kms = \"4711\"\naddress = \"0x12\"", "operators[0].address"),
    ] {
        let error = refusal(&format!("[[operators]]\n{text}"), &[]);
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[cfg(not(feature = "aws-kms"))]
#[tokio::test]
async fn a_build_that_cannot_ask_a_kms_says_which_one_can() {
    let address = "address = \"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266\"";
    for more in ["", address] {
        let config = read(&format!("[[operators]]\naws_kms = \"4711\"\n{more}"), &[]).unwrap();
        let error = config.open_operators().await.unwrap_err().to_string();
        assert!(error.contains("operators[0] (/etc/preauthd.toml, line 2)"), "{error}");
        assert!(error.contains("built without the feature aws-kms"), "{error}");
    }
}

#[test]
fn no_secret_is_shown() {
    const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    for key in [KEY.to_owned(), format!("0x{KEY}")] {
        let error = refusal(&format!("[[operators]]\nenv = \"{key}\""), &[]);
        assert!(error.contains("the name of an environment variable") && !error.contains(KEY), "{error}");
    }
    let error = refusal("rpc_url = \"ftp://secret-token\"", &[]);
    assert!(!error.contains("secret-token"), "{error}");
    let config = read(GOOD, &[]).unwrap();
    assert!(!format!("{config:?}").contains("secret-token"));
}

#[tokio::test]
async fn a_missing_or_wrong_key_is_refused_without_showing_it() {
    let config = read("[[operators]]\nenv = \"PREAUTHD_NO_SUCH_KEY\"", &[]).unwrap();
    let error = config.open_operators().await.unwrap_err().to_string();
    assert!(error.contains("operators[0] (/etc/preauthd.toml, line 2)"), "{error}");
    assert!(error.contains("PREAUTHD_NO_SUCH_KEY is not set"), "{error}");
}

#[tokio::test]
async fn a_keystore_opens_with_its_password_alone() {
    let folder = tempfile::tempdir().unwrap();
    let key = [7u8; 32];
    let (signer, name) = alloy::signers::local::PrivateKeySigner::encrypt_keystore(
        folder.path(),
        &mut alloy::signers::k256::elliptic_curve::rand_core::OsRng,
        key,
        "correct horse",
        None,
    )
    .unwrap();
    let written = async |password: &str| {
        std::fs::write(folder.path().join("password"), password).unwrap();
        let text = format!("[[operators]]\nkeystore = \"{name}\"\npassword_file = \"password\"");
        Config::read(Some((&folder.path().join("preauthd.toml"), &text)), []).unwrap().open_operators().await
    };
    assert_eq!(written("correct horse\n").await.unwrap()[0].address(), signer.address());
    let error = written("battery staple").await.unwrap_err().to_string();
    assert!(error.contains("cannot open keystore") && !error.contains("battery"), "{error}");
}

#[test]
fn the_example_is_a_good_configuration() {
    let text = EXAMPLE;
    let config = Config::read(Some((Path::new("preauthd.toml"), text)), []).unwrap();
    assert_eq!(config.operators.len(), 1);
    // What stands there as a comment are the defaults, and is right as well.
    let all: String =
        text.lines().map(|line| line.strip_prefix("#= ").unwrap_or(line).to_owned() + "\n").collect();
    let all = Config::read(Some((Path::new("preauthd.toml"), &all)), []).unwrap();
    assert_eq!(format!("{:?}", all.lane), format!("{:?}", Config::read(None, []).unwrap().lane));
    assert_eq!(all.request_timeout, config.request_timeout);
}

#[test]
fn the_example_explains_every_key() {
    let written: Vec<&str> = EXAMPLE
        .lines()
        .map(|line| line.trim_start_matches(['#', '=', ' ', '[']))
        .filter_map(|line| line.split([' ', ']']).next())
        .collect();
    for key in reader::KEYS.iter().chain(&operators::OPERATOR_KEYS) {
        assert!(written.contains(key), "{key} is not explained");
    }
}

#[test]
fn several_nodes_are_a_list_or_separated_by_commas() {
    let two = "rpc_url = [\"https://a.example/key\", \"https://b.example\"]";
    let agreement = |text: &str, variables: &[(&str, &str)]| {
        let rpc = read(text, variables).unwrap().rpc.unwrap();
        (rpc.urls.len(), rpc.agreement)
    };
    assert_eq!(agreement("rpc_url = \"https://a.example\"", &[]), (1, 1));
    assert_eq!(agreement(two, &[]), (2, 2));
    assert_eq!(agreement(&format!("rpc_agreement = 1\n{two}"), &[]), (2, 1));
    let three = [("PREAUTHD_RPC_URL", "http://a, http://b,http://c"), ("PREAUTHD_RPC_AGREEMENT", "3")];
    assert_eq!(agreement(two, &three[..1]), (3, 2));
    assert_eq!(agreement(two, &three), (3, 3));
    for (text, said) in [
        ("rpc_url = []", "rpc_url"),
        ("rpc_url = [\"https://secret\", \"ftp://secret\"]", "rpc_url"),
        ("rpc_url = [\"https://secret\", \"https://secret\"]", "different"),
        ("rpc_url = [\"https://secret\", 7]", "rpc_url"),
        ("listen = [\"127.0.0.1:1\"]", "found a list"),
        (&format!("{two}\nrpc_agreement = 3"), "from 1 to 2; found 3"),
        (&format!("{two}\nrpc_agreement = 0"), "from 1 to 2; found 0"),
    ] {
        let error = refusal(text, &[]);
        assert!(error.contains(said) && !error.contains("secret"), "{text}: {error}");
    }
}

#[test]
fn rates_are_configured_and_can_be_lifted() {
    let rates = read("reads_per_s = 10\nreads_burst = 20\nwrites_per_s = 0", &[]).unwrap().rates;
    assert_eq!((rates.reads, rates.writes), (Rate::new(10, 20), None));
    let rates = read("writes_per_s = 7", &[]).unwrap().rates;
    assert_eq!(rates.reads, RateSettings::default().reads);
    assert_eq!(rates.writes, Rate::new(7, RateSettings::DEFAULT_BURST));
    assert!(refusal("reads_burst = 0", &[]).contains("a whole number from 1 to 1000000"));
}

#[test]
fn webhooks_are_configured() {
    let config = read(
        "webhooks_allow_private = true\nwebhooks_retry_schedule_s = [0, 60]\nexpiring_before_s = 0",
        &[("PREAUTHD_WEBHOOKS_TIME_LIMIT_S", "3")],
    );
    let config = config.unwrap();
    let webhooks = config.webhooks().unwrap();
    assert!(webhooks.outbound.allow_private);
    assert_eq!(webhooks.retry_schedule.as_ref(), [Duration::ZERO, Duration::from_secs(60)]);
    assert_eq!((webhooks.time_limit, config.expiring_before), (Duration::from_secs(3), Duration::ZERO));
    let by_environment =
        [("PREAUTHD_WEBHOOKS_ALLOW_PRIVATE", "true"), ("PREAUTHD_WEBHOOKS_RETRY_SCHEDULE_S", "0, 7")];
    let webhooks = read("", &by_environment).unwrap().webhooks().unwrap();
    assert!(webhooks.outbound.allow_private);
    assert_eq!(webhooks.retry_schedule.as_ref(), [Duration::ZERO, Duration::from_secs(7)]);

    for text in [
        "webhooks_allow_private = 1",
        "webhooks_retry_schedule_s = []",
        "webhooks_retry_schedule_s = [-1]",
        "webhooks_retry_schedule_s = [\"1\"]",
        "webhooks_time_limit_s = 0",
    ] {
        let refused = refusal(text, &[]);
        assert!(refused.contains(text.split(' ').next().unwrap()), "{refused}");
    }
}

#[test]
fn the_key_of_the_vault_is_no_value_of_the_configuration() {
    let secret = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let refused = refusal(&format!("webhooks_key_env = {secret:?}"), &[]);
    assert!(refused.contains("webhooks_key_env") && !refused.contains(secret), "{refused}");
    let unset = read("webhooks_key_env = \"PREAUTHD_NO_SUCH_KEY\"", &[]).unwrap().webhooks().unwrap_err();
    assert!(unset.to_string().contains("PREAUTHD_NO_SUCH_KEY is not set"), "{unset}");
}
