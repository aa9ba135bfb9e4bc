//! From a request line to an answer line.

use mail::queue::Command;
use serde::Serialize;
use serde_json::{Value, json};

use super::request::{AdminVerb, Refused, Request, refused};
use super::{Hub, Reloaded, gather, status};

/// Carries out one request; the answer is one line of JSON without its newline.
pub(super) async fn answer(hub: &dyn Hub, line: &[u8]) -> Vec<u8> {
    let result = match Request::parse(line) {
        Ok(Request::Admin(verb)) => admin(hub, verb).await,
        Ok(Request::Queue(_, command)) => queue(hub, command).await,
        Err(refusal) => Err(refusal),
    };
    let value = result.unwrap_or_else(|refusal| failure(&refusal.0));
    // A `Value` always serialises.
    serde_json::to_vec(&value).unwrap_or_default()
}

/// The answer to what was not carried out.
pub(super) fn failure(error: &str) -> Value {
    json!({ "ok": false, "error": error })
}

async fn admin(hub: &dyn Hub, verb: AdminVerb) -> Result<Value, Refused> {
    match verb {
        AdminVerb::Status => success(&status::status(hub).await),
        AdminVerb::Reload => success(&reload(hub).await?),
        AdminVerb::Stop => {
            hub.stop();
            success(&json!({}))
        }
    }
}

async fn reload(hub: &dyn Hub) -> Result<Reloaded, Refused> {
    match hub.reload().await {
        Ok(Ok(reloaded)) => Ok(reloaded),
        Ok(Err(text)) => Err(Refused(text)),
        Err(_) => Err(refused("the server cannot reload now")),
    }
}

async fn queue(hub: &dyn Hub, command: Command) -> Result<Value, Refused> {
    match command {
        Command::List { filter, limit, after } => {
            success(&gather::list(hub, &filter, limit, after).await?)
        }
        Command::Show { id } => success(&gather::show(hub, id).await?),
        _ => success(&gather::act(hub, &command).await?),
    }
}

/// `{"ok": true}` and the fields of `body`.
fn success(body: &impl Serialize) -> Result<Value, Refused> {
    let fields = serde_json::to_value(body).map_err(|error| Refused(error.to_string()))?;
    let mut value = json!({ "ok": true });
    if let (Value::Object(value), Value::Object(fields)) = (&mut value, fields) {
        value.extend(fields);
    }
    Ok(value)
}
