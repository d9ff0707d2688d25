//! Proof that a party reads what is sent to it: a code that it repeats, or a link that it follows.

use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::PartyKey;
use crate::model::Millis;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeKind {
    /// Six digits, to the phone.
    PhoneCode,
    /// A link, to the e-mail address.
    EmailLink,
    /// A link at which the party proves who it is. The tenant sends it.
    IdentityLink,
}

impl ChallengeKind {
    pub const ALL: [Self; 3] = [Self::PhoneCode, Self::EmailLink, Self::IdentityLink];
    /// Challenges of one kind that a party is sent in an hour at most.
    pub const MOST_PER_HOUR: u32 = 5;

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PhoneCode => "phone_code",
            Self::EmailLink => "email_link",
            Self::IdentityLink => "identity_link",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// How long it can be answered, in milliseconds.
    #[must_use]
    pub fn lifetime_ms(self) -> i64 {
        match self {
            Self::PhoneCode => 10 * 60 * 1_000,
            Self::EmailLink | Self::IdentityLink => 24 * 3_600 * 1_000,
        }
    }
}

/// What is kept of a secret: enough to recognise it, and nothing to guess it by without the daemon's key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretTag(pub [u8; 32]);

/// Where a challenge stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeState {
    Open,
    Answered,
    /// Too many wrong answers.
    Exhausted,
    /// Its time is over.
    Lapsed,
    /// What it was sent to has changed, or a newer one was sent.
    Void,
}

/// A challenge that was sent.
#[derive(Clone)]
pub struct Challenge {
    pub key: i64,
    pub id: Uuid,
    pub party: PartyKey,
    pub kind: ChallengeKind,
    pub tag: SecretTag,
    /// Wrong answers so far.
    pub attempts: u32,
    pub lapses_at: Millis,
    pub answered: bool,
    pub void: bool,
}

/// What an answer comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    Right,
    /// And so many more are taken.
    Wrong {
        left: u32,
    },
    /// It was not even looked at.
    Closed(ChallengeState),
}

impl Challenge {
    /// Wrong answers after which no more are taken.
    pub const MOST_ATTEMPTS: u32 = 5;

    #[must_use]
    pub fn state(&self, now: Millis) -> ChallengeState {
        if self.void {
            ChallengeState::Void
        } else if self.answered {
            ChallengeState::Answered
        } else if self.attempts >= Self::MOST_ATTEMPTS {
            ChallengeState::Exhausted
        } else if now >= self.lapses_at {
            ChallengeState::Lapsed
        } else {
            ChallengeState::Open
        }
    }

    /// Judges an answer by its tag, in constant time.
    #[must_use]
    pub fn answer(&self, tag: &SecretTag, now: Millis) -> Answered {
        let is_right: bool = self.tag.0.ct_eq(&tag.0).into();
        match (self.state(now), is_right) {
            (ChallengeState::Open, true) => Answered::Right,
            (ChallengeState::Open, false) => {
                let used = self.attempts.saturating_add(1);
                Answered::Wrong { left: Self::MOST_ATTEMPTS.saturating_sub(used) }
            }
            (
                state @ (ChallengeState::Answered
                | ChallengeState::Exhausted
                | ChallengeState::Lapsed
                | ChallengeState::Void),
                true | false,
            ) => Answered::Closed(state),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: SecretTag = SecretTag([7; 32]);
    const WRONG: SecretTag = SecretTag([8; 32]);

    fn challenge() -> Challenge {
        Challenge {
            key: 1,
            id: Uuid::from_u128(1),
            party: PartyKey(1),
            kind: ChallengeKind::PhoneCode,
            tag: RIGHT,
            attempts: 0,
            lapses_at: Millis(1_000),
            answered: false,
            void: false,
        }
    }

    #[test]
    fn the_right_answer_is_right_in_time_and_once() {
        let open = challenge();
        assert_eq!(open.answer(&RIGHT, Millis(999)), Answered::Right);
        assert_eq!(open.answer(&RIGHT, Millis(1_000)), Answered::Closed(ChallengeState::Lapsed));
        let answered = Challenge { answered: true, ..challenge() };
        assert_eq!(answered.answer(&RIGHT, Millis(0)), Answered::Closed(ChallengeState::Answered));
        let void = Challenge { void: true, ..challenge() };
        assert_eq!(void.answer(&RIGHT, Millis(0)), Answered::Closed(ChallengeState::Void));
    }

    #[test]
    fn guesses_are_counted_and_end() {
        for attempts in 0..Challenge::MOST_ATTEMPTS {
            let left = Challenge::MOST_ATTEMPTS - attempts - 1;
            let guessed = Challenge { attempts, ..challenge() };
            assert_eq!(guessed.answer(&WRONG, Millis(0)), Answered::Wrong { left });
        }
        let exhausted = Challenge { attempts: Challenge::MOST_ATTEMPTS, ..challenge() };
        assert_eq!(exhausted.answer(&RIGHT, Millis(0)), Answered::Closed(ChallengeState::Exhausted));
    }
}
