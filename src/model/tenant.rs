//! A merchant system and what it may do.

use super::{Rules, TenantId};

/// A merchant system with its own keys, wallets, invoices and rules.
#[derive(Debug, Clone)]
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    /// A disabled tenant begins nothing new (403); what is open still settles, cancels and expires.
    pub disabled: bool,
    /// Basis points of the amount that a settlement may add; part of the hold. At most 5,000.
    pub allowed_tip_bps: u16,
    /// Seconds from creation to expiry where the creation names none.
    pub default_ttl_seconds: u64,
    /// Creations without the payer's signature are refused: an allowance alone is no consent here.
    pub require_signed_consent: bool,
    /// Creations need wallets of parties that are verified.
    pub require_verified_party: bool,
    pub rules: Rules,
}

/// What an API key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Look at preauthorizations, wallets and tokens.
    Read,
    /// Create, settle, cancel; register wallets with proof.
    Write,
    /// Register wallets without proof.
    Admin,
    /// Look at parties, personal data included.
    OnboardingRead,
    /// Onboard parties.
    OnboardingWrite,
    /// Publish terms; decide about parties; delete them.
    Staff,
}

impl Scope {
    pub const ALL: [Self; 6] =
        [Self::Read, Self::Write, Self::Admin, Self::OnboardingRead, Self::OnboardingWrite, Self::Staff];

    /// Those of the keys of who run the daemon: they onboard nobody.
    pub const OF_ADMINS: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
            Self::OnboardingRead => "onboarding:read",
            Self::OnboardingWrite => "onboarding:write",
            Self::Staff => "onboarding:staff",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}
