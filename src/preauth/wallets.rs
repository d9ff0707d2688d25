//! Wallets of a tenant: registration with proof, listing, removal.

use alloy::primitives::{Address, B256, Bytes};

use super::{Fault, Preauths};
use crate::model::{Account, ChainTime, Tenant, WalletRole};
use crate::store::wallets::Wallet;

/// A wish to register a wallet.
#[derive(Debug, Clone)]
pub struct RegisterWallet {
    pub account: Account,
    pub role: WalletRole,
    /// A sender's proof that the wallet is his; an admin needs none.
    pub proof: Option<WalletProof>,
    /// The caller's key has the admin scope.
    pub by_admin: bool,
}

/// A signature over an offered challenge.
#[derive(Debug, Clone)]
pub struct WalletProof {
    pub nonce: B256,
    pub signature: Bytes,
}

/// What a sender's wallet has to sign (`eth_signTypedData_v4`).
#[derive(Debug, Clone)]
pub struct ProofChallenge {
    pub nonce: B256,
    /// Unix seconds by the wall clock.
    pub deadline: i64,
    pub typed_data: serde_json::Value,
}

/// A registered wallet and, for a receiver, how it stands on chain.
#[derive(Debug, Clone)]
pub struct WalletView {
    pub wallet: Wallet,
    /// Receivers: from when on the contract lets an allowance name it; `None`: the admin has not registered it there.
    pub active_from: Option<ChainTime>,
}

/// How a registration ended.
#[derive(Debug)]
pub enum Registration {
    Registered(WalletView),
    ProofRequired(ProofChallenge),
    Refused(RegistrationRefusal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrationRefusal {
    /// The nonce is unknown, used, past its deadline, or for another wallet.
    UnknownProof,
    /// The signature is not the wallet's.
    WrongSignature,
}

impl Preauths {
    pub async fn register_wallet(
        &self,
        tenant: &Tenant,
        wish: RegisterWallet,
    ) -> Result<Registration, Fault> {
        let _ = (tenant, wish);
        todo!()
    }

    /// Registered wallets after a wallet's id (0: from the start), oldest first.
    pub async fn wallets(
        &self,
        tenant: &Tenant,
        role: Option<WalletRole>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<WalletView>, Fault> {
        let _ = (tenant, role, after, limit);
        todo!()
    }

    /// Removes a wallet in a role or in both. `false`: it was not registered.
    pub async fn remove_wallet(
        &self,
        tenant: &Tenant,
        address: Address,
        role: Option<WalletRole>,
    ) -> Result<bool, Fault> {
        let _ = (tenant, address, role);
        todo!()
    }
}
