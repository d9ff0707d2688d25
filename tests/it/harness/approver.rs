//! A merchant's system that is asked before a hold is locked: a real HTTP listener that decides as its story wants.

use serde_json::{Value, json};

use super::receiver::Receiver;
use super::{Api, Message, Reply};

/// An approver of a tenant.
pub struct Approver {
    pub name: &'static str,
    pub id: String,
    pub secret: String,
    receiver: Receiver,
}

/// A yes.
pub fn yes() -> Reply {
    Reply::Body(200, json!({ "decision": "approve" }).to_string())
}

/// A no.
pub fn no(reason: &str) -> Reply {
    Reply::Body(200, json!({ "decision": "refuse", "reason": reason }).to_string())
}

impl Approver {
    /// One that approves unless it is told otherwise, and has all the time there is.
    pub async fn join(api: &Api, name: &'static str) -> Self {
        Self::join_with(api, name, json!({ "timeLimitMs": 10_000 })).await
    }

    pub async fn join_with(api: &Api, name: &'static str, mut wishes: Value) -> Self {
        let receiver = Receiver::answering(yes()).await;
        wishes["name"] = json!(name);
        wishes["url"] = json!(receiver.url);
        let made = api.post("/approvers", wishes).await.is(201);
        let (id, secret) = (made.text("id").to_owned(), made.text("secret").to_owned());
        Self { name, id, secret, receiver }
    }

    /// Answers the next questions so.
    pub fn replies(&self, replies: impl IntoIterator<Item = Reply>) {
        self.receiver.reply(replies);
    }

    /// Answers so from now on.
    pub fn always(&self, reply: Reply) {
        self.receiver.reply_always(reply);
    }

    /// What it was asked.
    pub fn asked(&self) -> Vec<Message> {
        self.receiver.got()
    }

    /// Waits until it was asked so often.
    pub async fn until_asked(&self, times: usize) -> Vec<Message> {
        self.receiver.until_got(times).await
    }

    pub fn path(&self) -> String {
        format!("/approvers/{}", self.id)
    }
}
