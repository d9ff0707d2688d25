//! What the holders of tokens can sign: asked of each token when it is admitted, and again, because tokens are upgraded.

use std::time::Duration;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::{Fault, Preauths};
use crate::model::{Token, TokenSigning};
use crate::store::tokens;

/// From one round of all tokens to the next.
const EVERY: Duration = Duration::from_secs(60 * 60);

impl Preauths {
    /// Asks every active token at the start and then every hour, until told to stop.
    pub async fn keep_asking_tokens(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.ask_tokens() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn ask_tokens(&self) {
        let tokens = match self.tokens().await {
            Ok(tokens) => tokens,
            Err(error) => {
                return tracing::warn!(%error, "what tokens' holders can sign could not be looked up");
            }
        };
        for token in tokens.into_iter().filter(|token| token.active) {
            if let Err(error) = self.probe_signing(&token).await {
                tracing::warn!(token = token.symbol, %error, "what a token's holders can sign could not be asked");
            }
        }
    }

    /// What a token's holders can sign: as it is known, or asked where it is unknown or no longer true.
    pub(super) async fn signing(&self, token: &Token) -> Result<TokenSigning, Fault> {
        let Some(known) = &token.signing else { return self.probe_signing(token).await };
        let Some(method) = known.permit.as_ref().or(known.authorization.as_ref()) else {
            return Ok(known.clone());
        };
        // A token that was upgraded may have another name or version, and with it another domain.
        match self.inner.chain.domain_separator(token.contract.address()).await? {
            Some(told) if told != method.domain.separator() => self.probe_signing(token).await,
            _ => Ok(known.clone()),
        }
    }

    /// Asks a token what its holders can sign, and notes it where that is new.
    async fn probe_signing(&self, token: &Token) -> Result<TokenSigning, Fault> {
        let contract = token.contract.address();
        let signing = self.inner.chain.probe_signing(contract).await?;
        if token.signing.as_ref() != Some(&signing) {
            tracing::info!(
                token = %contract, permit = signing.permit.is_some(), authorization = signing.authorization.is_some(),
                "what the token's holders can sign is known"
            );
            let noted = signing.clone();
            self.inner
                .store
                .write(move |connection| {
                    async move { tokens::set_signing(connection, contract, &noted).await }.boxed()
                })
                .await?;
        }
        Ok(signing)
    }
}
