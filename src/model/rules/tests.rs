use proptest::prelude::*;

use super::*;
use crate::model::Account;

fn token() -> Token {
    Token {
        contract: Account::from_address(Address::repeat_byte(9)),
        symbol: "USDX".into(),
        decimals: 6,
        active: true,
        signing: None,
    }
}

fn judge(rules: &str, change: impl FnOnce(&mut Creation<'_>)) -> Result<(), String> {
    refused_by(rules, change).map_err(|refusal| refusal.rule.into_owned())
}

fn refused_by(rules: &str, change: impl FnOnce(&mut Creation<'_>)) -> Result<(), RuleRefusal> {
    let rules: Rules = serde_json::from_str(rules).unwrap();
    let token = token();
    let invoice = InvoiceId::parse("WEB-7").unwrap();
    let mut creation = creation(&token, &invoice);
    change(&mut creation);
    Rulebook::open(rules).judge(&creation)
}

fn creation<'a>(token: &'a Token, invoice: &'a InvoiceId) -> Creation<'a> {
    Creation {
        invoice,
        sender: Some(Address::repeat_byte(1)),
        receiver: Address::repeat_byte(2),
        token,
        amount: BaseUnits::new(100_000_000).unwrap(),
        hold: BaseUnits::new(110_000_000).unwrap(),
        open_total: 0,
        now: ChainTime(1_000),
        expires_at: ChainTime(4_600),
        consent: Some(ALLOWANCE),
        pay_link: false,
        scheduled: false,
    }
}

/// Rules of one expression.
fn only(allow: &str) -> Rules {
    let expression = Expression { name: "mine".into(), allow: allow.into(), why: "I say so".into() };
    Rules { expressions: vec![expression], ..Rules::default() }
}

fn allows(allow: &str, change: impl FnOnce(&mut Creation<'_>)) -> bool {
    let rules = only(allow);
    rules.check().unwrap_or_else(|flaw| panic!("{allow}: {flaw}"));
    judge(&serde_json::to_string(&rules).unwrap(), change).is_ok()
}

fn flaw(allow: &str) -> String {
    only(allow).check().expect_err(allow).to_string()
}

#[test]
fn without_rules_everything_passes() {
    assert_eq!(judge("{}", |_| {}), Ok(()));
}

#[test]
fn each_rule_has_two_sides() {
    let token = Address::repeat_byte(9);
    let other = Address::repeat_byte(8);
    let cases = [
        (
            format!(r#"{{"maxAmount":{{"{token}":"100"}}}}"#),
            format!(r#"{{"maxAmount":{{"{token}":"99.999999"}}}}"#),
            "maxAmount",
        ),
        (
            format!(r#"{{"maxOpenPerSender":{{"{token}":"110"}}}}"#),
            format!(r#"{{"maxOpenPerSender":{{"{token}":"109"}}}}"#),
            "maxOpenPerSender",
        ),
        (
            format!(r#"{{"allowedTokens":["{token}"]}}"#),
            format!(r#"{{"allowedTokens":["{other}"]}}"#),
            "allowedTokens",
        ),
        (r#"{"minTtlSeconds":3600}"#.into(), r#"{"minTtlSeconds":3601}"#.into(), "minTtlSeconds"),
        (r#"{"maxTtlSeconds":3600}"#.into(), r#"{"maxTtlSeconds":3599}"#.into(), "maxTtlSeconds"),
        (
            format!(r#"{{"blockedAddresses":["{other}"]}}"#),
            format!(r#"{{"blockedAddresses":["{}"]}}"#, Address::repeat_byte(2)),
            "blockedAddresses",
        ),
    ];
    for (allows, refuses, rule) in cases {
        assert_eq!(judge(&allows, |_| {}), Ok(()), "{allows}");
        assert_eq!(judge(&refuses, |_| {}), Err(rule.to_owned()), "{refuses}");
    }
}

#[test]
fn open_holds_count_towards_the_total() {
    let rules = format!(r#"{{"maxOpenPerSender":{{"{}":"110"}}}}"#, Address::repeat_byte(9));
    assert_eq!(judge(&rules, |creation| creation.open_total = 1), Err("maxOpenPerSender".to_owned()));
}

#[test]
fn an_unreadable_limit_is_found_when_saved_and_refuses_when_met() {
    let rules = format!(r#"{{"maxAmount":{{"{}":"lots"}}}}"#, Address::repeat_byte(9));
    assert!(serde_json::from_str::<Rules>(&rules).unwrap().check().is_err());
    assert_eq!(judge(&rules, |_| {}), Err("maxAmount".to_owned()));
}

#[test]
fn each_word_of_an_expression_has_two_sides() {
    let sender = Address::repeat_byte(1);
    let cases = [
        ("amount <= tokens('100')", "amount < tokens(100)"),
        ("amount > tokens('99.9999999999')", "amount > tokens('100.0000000000000000000001')"),
        ("hold == tokens('110.0')", "hold != tokens('110')"),
        ("openTotal + hold <= tokens(110)", "openTotal + hold < tokens(110)"),
        ("hold - amount <= tokens(10)", "hold - amount < tokens(10)"),
        ("ttlSeconds == 3600 && now == 1000 && expiresAt == now + ttlSeconds", "ttlSeconds < 60 * 60"),
        ("(now / 60) % 60 >= 16", "(now / 60) % 60 > 16"),
        ("symbol in ['USDX', 'EURX']", "!(symbol in ['USDX', 'EURX'])"),
        ("invoiceId.startsWith('WEB-') && size(invoiceId) == 5", "invoiceId.endsWith('-8')"),
        ("consent == 'allowance' ? amount <= tokens(100) : true", "consent != 'allowance'"),
        ("!payLink && !scheduled", "payLink || scheduled"),
        (
            "{'USDX': tokens(100), 'EURX': tokens(5)}[symbol] >= amount",
            "{'USDX': tokens(99)}[symbol] >= amount",
        ),
        (&*format!("sender == '{sender}'"), &*format!("sender != '{sender:#x}'")),
        (&format!("token in {{'{}': true}}", Address::repeat_byte(9)), "receiver == sender"),
    ];
    for (yes, no) in cases {
        assert!(allows(yes, |_| {}), "{yes}");
        assert!(!allows(no, |_| {}), "{no}");
    }
}

#[test]
fn an_address_means_the_same_however_it_is_written() {
    let written = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    let address: Address = written.parse().unwrap();
    for text in [written.to_owned(), written.to_lowercase(), format!("0x{}", written[2..].to_uppercase())] {
        let blocked = format!("!(sender in ['{text}'])");
        assert!(!allows(&blocked, |creation| creation.sender = Some(address)), "{text}");
        assert!(allows(&blocked, |_| {}));
    }
    let slip = written.replace("Fd6e", "fd6e");
    assert!(flaw(&format!("sender == '{slip}'")).contains("checksum"));
    assert!(
        flaw("sender == '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb9226'")
            .contains("an address is compared with a text")
    );
}

#[test]
fn a_refusal_names_the_expression_and_its_reason() {
    let rules = serde_json::to_string(&only("amount < tokens(1)")).unwrap();
    let refusal = refused_by(&rules, |_| {}).unwrap_err();
    assert_eq!(refusal.to_string(), "Rule mine refused the preauthorization: I say so");
}

#[test]
fn what_cannot_be_evaluated_refuses_and_says_so() {
    for (allow, why) in [
        ("9223372036854775807 + now > 0", "Overflow"),
        ("now / 0 == 1", "Division"),
        ("{'EURX': true}[symbol]", "No such key"),
        ("amount - hold > tokens(0)", "never below zero"),
    ] {
        let rules = only(allow);
        assert_eq!(rules.check(), Ok(()));
        let refusal = refused_by(&serde_json::to_string(&rules).unwrap(), |_| {}).unwrap_err();
        assert!(
            refusal.why.starts_with("it could not be evaluated") && refusal.why.contains(why),
            "{refusal}"
        );
    }
    // Not even one that could not be saved passes.
    for allow in ["amout > 1", "amount", "(", "1.5 > 1.0", ""] {
        let rules = serde_json::to_string(&only(allow)).unwrap();
        assert_eq!(judge(&rules, |_| {}), Err("mine".to_owned()), "{allow}");
    }
}

#[test]
fn what_is_not_known_yet_is_not_judged_yet() {
    let other = Address::repeat_byte(5);
    for (allow, needs_consent) in [
        (&*format!("sender == '{other}'"), false),
        ("openTotal + hold < tokens(1)", false),
        ("consent == 'eip712'", true),
    ] {
        assert!(!allows(allow, |_| {}), "{allow}");
        assert!(allows(allow, |creation| {
            creation.sender = None;
            creation.consent = None;
        }));
        assert_eq!(allows(allow, |creation| creation.consent = None), needs_consent, "{allow}");
    }
    assert!(!allows("amount < tokens(1)", |creation| creation.sender = None));
}

#[test]
fn what_says_nothing_about_creations_is_found_when_saved() {
    for (allow, place, why) in [
        ("amount <", "line 1, column", ""),
        ("true &&\n  amout > tokens(1)", "line 2, column 3", "unknown variable \"amout\""),
        ("symbol == 'é' && amout > tokens(1)", "line 1, column 18", "amout"),
        ("amount", "column 1", "must be a truth value, and is an amount"),
        (
            "true || amount != 5",
            "line 1, column 16",
            "an amount is compared with a number; an amount is written tokens",
        ),
        ("amount < 12.5", "", "numbers are whole"),
        ("amount < tokens(12.5)", "", "takes an amount that is written out"),
        ("amount < tokens('1e3')", "", "plain decimal digits"),
        ("amount < tokens(-1)", "", "amount"),
        ("amount < tokens(symbol)", "", "written out"),
        ("amount * 2 > hold", "", "* takes a number"),
        ("sender in ['USDX']", "", "an address is compared with a text"),
        ("sender.startsWith('0x')", "", "startsWith takes a text"),
        ("symbol.matches('U.*')", "", "unknown function \"matches\""),
        ("['a'].exists(x, x == symbol)", "", "there are no loops"),
        ("['a'].all(symbol, true)", "", "there are no loops"),
        ("has(creation.sender)", "", "no field"),
        ("sender.address == symbol", "", "there is no field \"address\""),
        ("symbol in []", "", "the list is empty"),
        ("symbol in ['a', 1]", "", "alike"),
        ("{'a': 1, 'b': 'c'}[symbol] == 1", "", "alike"),
        ("[[1]] == [[1]]", "", "neither lists nor maps"),
        ("(payLink ? 1 : 'a') == 1", "", "both must be alike"),
        ("sender == null", "", "no part"),
        ("type(symbol) == string", "", "unknown"),
        ("size(amount) == 1", "", "size"),
    ] {
        let said = flaw(allow);
        assert!(said.contains("\"mine\"") && said.contains(place) && said.contains(why), "{allow}: {said}");
    }
}

#[test]
fn the_examples_of_the_documentation_can_be_saved() {
    let page = include_str!("../../../docs/rules.md");
    let blocks = page.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    let examples: Vec<Rules> = blocks.filter_map(|block| serde_json::from_str(block).ok()).collect();
    assert_eq!(examples.len(), 1);
    for rules in &examples {
        assert_eq!((rules.check(), rules.expressions.len()), (Ok(()), 5));
    }
    // Every word of the language is explained.
    for word in check::VARIABLES.split(", ") {
        assert!(page.contains(&format!("`{word}`")), "{word}");
        assert!(check::variable(word).is_some(), "{word}");
    }
}

#[test]
fn rules_are_bounded_and_have_names_of_their_own() {
    let rules = |change: &dyn Fn(&mut Rules)| {
        let mut rules = only("true");
        change(&mut rules);
        rules.check()
    };
    assert_eq!(rules(&|_| {}), Ok(()));
    let twice = |rules: &mut Rules| rules.expressions.push(rules.expressions[0].clone());
    assert!(rules(&twice).unwrap_err().to_string().contains("another rule has this name"));
    assert!(rules(&|rules| rules.expressions[0].name = "maxAmount".into()).is_err());
    assert!(rules(&|rules| rules.expressions[0].name = " ".into()).is_err());
    assert!(rules(&|rules| rules.expressions[0].why = "two\nlines".into()).is_err());
    assert!(rules(&|rules| rules.expressions[0].allow = format!("true{}", " ".repeat(2_000))).is_err());
    let many = |rules: &mut Rules| {
        let one = rules.expressions[0].clone();
        rules.expressions =
            (0..17).map(|number| Expression { name: number.to_string(), ..one.clone() }).collect();
    };
    assert_eq!(rules(&many), Err(RulesFlaw::TooMany(16)));
}

#[test]
fn no_expression_is_too_much_for_the_stack() {
    for (allow, why) in [
        (vec!["1"; 1_000].join("+"), "nested"),
        (vec!["1"; 400].join(" in "), "nested"),
        (format!("a{}", ".a".repeat(990)), "no field"),
        (format!("symbol{}", ".size()".repeat(280)), "nested"),
        (format!("{}1", "[1][".repeat(400)), ""),
        (format!("{}true{}", "(".repeat(990), ")".repeat(990)), "nested more than 24 deep"),
        (format!("{}true", "true?true:".repeat(190)), "nested more than 24 deep"),
        ("(1+".repeat(660), ""),
        ("?)(".repeat(660), ""),
    ] {
        let said = flaw(&allow);
        assert!(said.contains(why), "{said}");
    }
    // As deep, and as long, as may be.
    assert!(allows(&format!("{}true{}", "(".repeat(8), ")".repeat(8)), |_| {}));
    assert!(allows(&format!("{} == 30", vec!["1"; 30].join("+")), |_| {}));
    assert!(allows(&vec!["!payLink"; 180].join("&&"), |_| {}));
}

/// Expressions of all shapes, most of which make no sense.
fn expressions() -> impl Strategy<Value = String> {
    let words = [
        "amount",
        "hold",
        "openTotal",
        "sender",
        "token",
        "symbol",
        "invoiceId",
        "now",
        "ttlSeconds",
        "payLink",
        "true",
        "0",
        "7",
        "9223372036854775807",
        "'USDX'",
        "'0x0101010101010101010101010101010101010101'",
        "tokens('0.5')",
        "tokens(70)",
        "[1, 7]",
        "['USDX']",
        "{'USDX': 1}",
        "{'USDX': tokens(1)}",
    ];
    proptest::sample::select(words.to_vec()).prop_map(str::to_owned).prop_recursive(4, 24, 3, |inner| {
        let operators = ["==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "&&", "||", "in"];
        let binary = (inner.clone(), proptest::sample::select(operators.to_vec()), inner.clone());
        prop_oneof![
            6 => binary.prop_map(|(left, operator, right)| format!("({left} {operator} {right})")),
            1 => inner.clone().prop_map(|one| format!("!{one}")),
            1 => inner.clone().prop_map(|one| format!("size({one})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(one, key)| format!("{one}[{key}]")),
            1 => (inner.clone(), inner.clone()).prop_map(|(one, part)| format!("{one}.contains({part})")),
            1 => (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
}

proptest! {
    #[test]
    fn a_limit_in_an_expression_is_exact(units in 0u128..1 << 96, limit in 0u128..1 << 96, decimals in 0u8..=28) {
        let written = BaseUnits::new(limit).unwrap().in_tokens(decimals);
        let token = Token { decimals, ..token() };
        let invoice = InvoiceId::parse("WEB-7").unwrap();
        let rulebook = Rulebook::open(only(&format!("amount <= tokens('{written}')")));
        for units in [units, limit.saturating_sub(1), limit, (limit + 1).min((1 << 96) - 1)] {
            let amount = BaseUnits::new(units).unwrap();
            let creation = Creation { token: &token, amount, ..creation(&token, &invoice) };
            prop_assert_eq!(rulebook.judge(&creation).is_ok(), units <= limit);
        }
    }

    #[test]
    fn what_was_saved_never_fails_for_its_kinds(allow in expressions()) {
        let rules = only(&allow);
        if rules.check().is_ok() {
            let (token, invoice) = (token(), InvoiceId::parse("WEB-7").unwrap());
            let refusal = Rulebook::open(rules).judge(&creation(&token, &invoice)).err();
            // Some numbers are too large, or divided by, and some keys are not there.
            let is_of_its_values = |why: &str| {
                why == "I say so"
                    || ["Overflow", "by zero", "No such key", "ndex", "never below zero", "too large"]
                        .iter()
                        .any(|reason| why.contains(reason))
            };
            if let Some(refusal) = refusal {
                prop_assert!(is_of_its_values(&refusal.why), "{allow}: {refusal}");
            }
        }
    }
}
