//! Wallets of a tenant: registration with proof, listing, removal.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::{Eip712Domain, SolStruct, eip712_domain};
use futures::{FutureExt, StreamExt, TryStreamExt};

use super::{Fault, Preauths};
use crate::model::{Account, ChainTime, Tenant, TenantId, WalletRole, typed_data};
use crate::store::StoreError;
use crate::store::wallets::{self, Wallet};

/// How long a proof may take to arrive, in seconds.
const PROOF_SECONDS: i64 = 15 * 60;
/// Questions to the node at once while a page of wallets is read.
const READS_AT_ONCE: usize = 8;

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
    /// Registers a wallet. Registering one again changes nothing and needs no second proof.
    ///
    /// A sender's wallet needs the wallet's own signature, because otherwise one tenant could draw on an allowance that
    /// a payer gave for another.
    pub async fn register_wallet(
        &self,
        tenant: &Tenant,
        wish: RegisterWallet,
    ) -> Result<Registration, Fault> {
        let RegisterWallet { account, role, proof, by_admin } = wish;
        let needs_proof = role == WalletRole::Sender && !by_admin;
        let known = match needs_proof {
            true => self.registered_wallet(tenant, account.address(), role).await?,
            false => None,
        };
        if let Some(wallet) = known {
            return Ok(Registration::Registered(self.wallet_view(wallet).await?));
        }
        let used_nonce = match proof {
            _ if !needs_proof => None,
            None => {
                return Ok(Registration::ProofRequired(self.offer_proof(tenant, account.address()).await?));
            }
            Some(proof) => match self.check_proof(tenant, account.address(), &proof).await? {
                Ok(()) => Some(proof.nonce),
                Err(refusal) => return Ok(Registration::Refused(refusal)),
            },
        };
        match self.store_wallet(tenant.id, account, role, used_nonce).await? {
            Some(wallet) => Ok(Registration::Registered(self.wallet_view(wallet).await?)),
            None => Ok(Registration::Refused(RegistrationRefusal::UnknownProof)),
        }
    }

    /// Registered wallets after a wallet's id (0: from the start), oldest first.
    pub async fn wallets(
        &self,
        tenant: &Tenant,
        role: Option<WalletRole>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<WalletView>, Fault> {
        let mut reader = self.inner.store.read().await?;
        let page = wallets::page(&mut reader, tenant.id, role, after, limit).await?;
        drop(reader);
        futures::stream::iter(page.into_iter().map(|wallet| self.wallet_view(wallet)))
            .buffered(READS_AT_ONCE)
            .try_collect()
            .await
    }

    /// Removes a wallet in a role or in both. `false`: it was not registered.
    pub async fn remove_wallet(
        &self,
        tenant: &Tenant,
        address: Address,
        role: Option<WalletRole>,
    ) -> Result<bool, Fault> {
        let (tenant, now) = (tenant.id, self.inner.clock.wall());
        let removed: u64 = self
            .inner
            .store
            .write(move |connection| wallets::remove(connection, tenant, address, role, now).boxed())
            .await?;
        Ok(removed > 0)
    }

    async fn registered_wallet(
        &self,
        tenant: &Tenant,
        address: Address,
        role: WalletRole,
    ) -> Result<Option<Wallet>, Fault> {
        let mut reader = self.inner.store.read().await?;
        Ok(wallets::registered(&mut reader, tenant.id, address, role).await?)
    }

    /// Hands out what the wallet has to sign.
    async fn offer_proof(&self, tenant: &Tenant, wallet: Address) -> Result<ProofChallenge, Fault> {
        let tenant = tenant.id;
        let nonce = B256::from(rand::random::<[u8; 32]>());
        let now = self.wall_seconds();
        let deadline = now.saturating_add(PROOF_SECONDS);
        self.inner
            .store
            .write(move |connection| {
                wallets::offer_proof(connection, tenant, wallet, nonce, deadline, now).boxed()
            })
            .await?;
        let registration = WalletRegistration::new(tenant, wallet, nonce, deadline);
        Ok(ProofChallenge {
            nonce,
            deadline,
            typed_data: registration.typed_data(self.inner.chain.chain_id()),
        })
    }

    /// Checks a proof without using it up: a node that does not answer must not cost the client its nonce.
    async fn check_proof(
        &self,
        tenant: &Tenant,
        wallet: Address,
        proof: &WalletProof,
    ) -> Result<Result<(), RegistrationRefusal>, Fault> {
        let mut reader = self.inner.store.read().await?;
        let offered = wallets::offered_proof(&mut reader, tenant.id, proof.nonce).await?;
        drop(reader);
        let Some((_, deadline)) =
            offered.filter(|(address, deadline)| *address == wallet && *deadline >= self.wall_seconds())
        else {
            return Ok(Err(RegistrationRefusal::UnknownProof));
        };
        let chain = &self.inner.chain;
        let digest =
            WalletRegistration::new(tenant.id, wallet, proof.nonce, deadline).digest(chain.chain_id());
        let is_signed = chain.is_signed_by(wallet, digest, &proof.signature).await?;
        Ok(if is_signed { Ok(()) } else { Err(RegistrationRefusal::WrongSignature) })
    }

    /// Stores a registration and uses up its nonce in one change. `None`: the nonce was used meanwhile.
    async fn store_wallet(
        &self,
        tenant: TenantId,
        account: Account,
        role: WalletRole,
        nonce: Option<B256>,
    ) -> Result<Option<Wallet>, Fault> {
        let now = self.inner.clock.wall();
        let stored = self.inner.store.write::<_, StoreError, _>(move |connection| {
            async move {
                if let Some(nonce) = nonce
                    && wallets::take_proof(connection, tenant, nonce).await?.is_none()
                {
                    return Ok(None);
                }
                wallets::register(connection, tenant, &account, role, now).await?;
                wallets::registered(connection, tenant, account.address(), role).await
            }
            .boxed()
        });
        Ok(stored.await?)
    }

    /// The wall's time in Unix seconds, in which deadlines of proofs are told.
    fn wall_seconds(&self) -> i64 {
        self.inner.clock.wall().0.div_euclid(1_000)
    }

    async fn wallet_view(&self, wallet: Wallet) -> Result<WalletView, Fault> {
        let active_from = match wallet.role {
            WalletRole::Sender => None,
            WalletRole::Receiver => {
                let escrow = self.inner.settings.escrow;
                self.inner.chain.receiver_active_from(escrow, wallet.account.address()).await?
            }
        };
        Ok(WalletView { wallet, active_from })
    }
}

mod eip712 {
    // The name and field order are the EIP-712 type that wallets sign.
    alloy::sol! {
        struct WalletRegistration {
            bytes16 tenant;
            address wallet;
            bytes32 nonce;
            uint256 deadline;
        }
    }
}

/// What the owner of a wallet signs: "this tenant may name my wallet as a sender".
struct WalletRegistration(eip712::WalletRegistration);

impl WalletRegistration {
    fn new(tenant: TenantId, wallet: Address, nonce: B256, deadline: i64) -> Self {
        Self(eip712::WalletRegistration {
            tenant: tenant.0.into_bytes().into(),
            wallet,
            nonce,
            deadline: U256::from(deadline.unsigned_abs()),
        })
    }

    fn digest(&self, chain_id: u64) -> B256 {
        self.0.eip712_signing_hash(&domain(chain_id))
    }

    /// The JSON that `eth_signTypedData_v4` takes.
    fn typed_data(&self, chain_id: u64) -> serde_json::Value {
        let eip712::WalletRegistration { tenant, wallet, nonce, deadline } = &self.0;
        let message = serde_json::json!({
            "tenant": tenant,
            "wallet": wallet.to_checksum(None),
            "nonce": nonce,
            "deadline": deadline.to_string(),
        });
        typed_data::<eip712::WalletRegistration>(&domain(chain_id), message)
    }
}

fn domain(chain_id: u64) -> Eip712Domain {
    eip712_domain! { name: "preauthd", version: "1", chain_id: chain_id, }
}

#[cfg(test)]
mod tests {
    use alloy::dyn_abi::TypedData;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_typed_data_hashes_to_what_is_checked() {
        let wallet = Address::repeat_byte(7);
        let registration = WalletRegistration::new(
            TenantId(Uuid::from_u128(5)),
            wallet,
            B256::repeat_byte(9),
            1_774_872_000,
        );
        let typed: TypedData = serde_json::from_value(registration.typed_data(31_337)).unwrap();
        assert_eq!(typed.eip712_signing_hash().unwrap(), registration.digest(31_337));
        assert_ne!(registration.digest(31_337), registration.digest(1));
    }
}
