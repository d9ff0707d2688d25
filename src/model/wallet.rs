//! What a registered wallet may do in a preauthorization.

/// The side of a preauthorization a wallet is registered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WalletRole {
    Sender,
    Receiver,
}

impl WalletRole {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Receiver => "receiver",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Sender, Self::Receiver].into_iter().find(|role| role.as_str() == text)
    }
}
