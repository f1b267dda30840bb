//! What is said of an InboundPolicy: whether it is enforced as it stands.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::{Value, json};

use super::condition::Verdict;
use crate::registry::translate::{InboundPolicy, policy};

/// The status that an InboundPolicy should have. None: it has it.
pub(super) fn status(object: &Value, now: &Time) -> Option<Value> {
    let before: Vec<Condition> = serde_json::from_value(object["status"]["conditions"].clone()).unwrap_or_default();
    let condition = verdict(object).condition(object["metadata"]["generation"].as_i64(), &before, now);
    // Conditions of others are left as they are.
    let mut conditions: Vec<Condition> = before.iter().filter(|one| one.type_ != condition.type_).cloned().collect();
    conditions.push(condition.clone());
    (!before.contains(&condition)).then(|| json!({ "conditions": conditions }))
}

fn verdict(object: &Value) -> Verdict {
    let read = serde_json::from_value::<InboundPolicy>(object.clone());
    let problem = match read {
        Ok(wire) => policy(&wire).err().map(|finding| finding.to_string()),
        Err(error) => Some(format!("spec cannot be read: {error}")),
    };
    match problem {
        None => Verdict { about: "Accepted", holds: true, reason: "Accepted", message: "it is enforced".to_owned() },
        Some(problem) => {
            let message = format!("{problem}; the last state that could be read is enforced, if there was one");
            Verdict { about: "Accepted", holds: false, reason: "Invalid", message }
        }
    }
}
