//! From a request line to an answer line.

use mail::authentication::signing;
use mail::directory;
use mail::queue::Command;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::request::{AdminVerb, Refused, Request, refused};
use super::{DIRECTORY_PATIENCE, Hub, KEYS_PATIENCE, Reloaded, gather, status};

/// Carries out one request of `who`; the answer is one line of JSON without its newline.
pub(super) async fn answer(hub: &dyn Hub, who: &str, line: &[u8]) -> Vec<u8> {
    let result = match Request::parse(line) {
        Ok(Request::Admin(verb)) => admin(hub, verb).await,
        Ok(Request::Queue(_, command)) => queue(hub, command).await,
        Ok(Request::Directory(command)) => change(hub, who, *command).await,
        Ok(Request::Dkim(command)) => dkim(hub, who, *command).await,
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

async fn change(hub: &dyn Hub, who: &str, command: directory::Command) -> Result<Value, Refused> {
    match timeout(DIRECTORY_PATIENCE, hub.directory(who.to_owned(), command)).await {
        Ok(Ok(Ok(answer))) => success(&answer),
        Ok(Ok(Err(error))) => Err(Refused(error.to_string())),
        Ok(Err(_)) => Err(refused("the directory cannot answer: the server is stopping")),
        Err(_) => Err(refused("the directory is busy: whether this was done, `show` will tell")),
    }
}

async fn dkim(hub: &dyn Hub, who: &str, command: signing::Command) -> Result<Value, Refused> {
    match timeout(KEYS_PATIENCE, hub.dkim(who.to_owned(), command)).await {
        Ok(Ok(Ok(answer))) => success(&answer),
        Ok(Ok(Err(error))) => Err(Refused(error.to_string())),
        Ok(Err(_)) => Err(refused("the keys cannot be changed now: the server is stopping")),
        Err(_) => Err(refused("this takes long: whether it was done, `list` will tell")),
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
