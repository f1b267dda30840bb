//! Who the users are, in memory, and what a user must be. Neither REST nor gRPC.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};

use crate::page::Page;
use crate::problem::FieldError;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// From 1 on.
    pub id: i64,
    /// What the user is called, 1 to 100 characters.
    pub name: String,
    /// Unique.
    pub email: String,
}

/// A user that is to be created.
#[derive(Clone, Debug, Deserialize)]
pub struct NewUser {
    /// 1 to 100 characters.
    #[serde(default)]
    pub name: String,
    /// `someone@somewhere`, at most 254 characters.
    #[serde(default)]
    pub email: String,
}

/// Why a user was not found or not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// Nobody has the id.
    #[error("there is no user {id}")]
    Unknown {
        /// The id.
        id: i64,
    },
    /// Another user has the address.
    #[error("user {id} has the email address {email} already")]
    EmailTaken {
        /// The address.
        email: String,
        /// Whose it is.
        id: i64,
    },
    /// Fields break the rules.
    #[error("{}", .0.iter().map(|error| format!("{} {}", error.field, error.detail)).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    /// There is no room.
    #[error("there is no room for more than {most} users")]
    Full {
        /// The limit.
        most: usize,
    },
}

/// What became of a user that a caller told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was known just so.
    Unchanged,
    /// It was new.
    Created,
    /// It was known differently.
    Updated,
}

/// All users.
#[derive(Debug)]
pub struct Users {
    by_id: Mutex<BTreeMap<i64, User>>,
}

const MOST: usize = 100_000;

impl Users {
    /// With the first three users of the shop.
    #[must_use]
    pub fn new() -> Self {
        let user = |id, name: &str, email: &str| (id, User { id, name: name.into(), email: email.into() });
        let first = [
            user(1, "Ada Lovelace", "ada@shop.example"),
            user(2, "Grace Hopper", "grace@shop.example"),
            user(3, "Katherine Johnson", "katherine@shop.example"),
        ];
        Self { by_id: Mutex::new(first.into()) }
    }

    /// The user with this id.
    ///
    /// # Errors
    /// [`UserError::Unknown`].
    pub fn find(&self, id: i64) -> Result<User, UserError> {
        self.lock().get(&id).cloned().ok_or(UserError::Unknown { id })
    }

    /// Users in the order of their ids.
    pub fn list(&self, page: Page) -> Vec<User> {
        self.lock().range(page.after.saturating_add(1)..).take(page.limit).map(|(_, user)| user.clone()).collect()
    }

    /// Takes in one user.
    ///
    /// # Errors
    /// What breaks the rules, and an address that is taken.
    pub fn create(&self, new: NewUser) -> Result<User, UserError> {
        create(&mut self.lock(), new)
    }

    /// Takes in all of `new`, or none.
    ///
    /// # Errors
    /// The first user that cannot be taken.
    pub fn import(&self, new: Vec<NewUser>) -> Result<Vec<User>, UserError> {
        let mut users = self.lock();
        let mut changed = users.clone();
        let created = new.into_iter().map(|new| create(&mut changed, new)).collect::<Result<_, _>>()?;
        *users = changed;
        Ok(created)
    }

    /// Makes the user be as the caller knows it; id 0 creates one.
    ///
    /// # Errors
    /// An id that nobody has, what breaks the rules, and an address that is taken.
    pub fn sync(&self, known: User) -> Result<(User, Outcome), UserError> {
        let mut users = self.lock();
        let new = NewUser { name: known.name, email: known.email };
        if known.id == 0 {
            return create(&mut users, new).map(|user| (user, Outcome::Created));
        }
        let held = users.get(&known.id).ok_or(UserError::Unknown { id: known.id })?;
        if held.name == new.name && held.email == new.email {
            return Ok((held.clone(), Outcome::Unchanged));
        }
        check(&users, &new, known.id)?;
        let user = User { id: known.id, name: new.name, email: new.email };
        users.insert(user.id, user.clone());
        Ok((user, Outcome::Updated))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<i64, User>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Users {
    fn default() -> Self {
        Self::new()
    }
}

fn create(users: &mut BTreeMap<i64, User>, new: NewUser) -> Result<User, UserError> {
    check(users, &new, 0)?;
    if users.len() >= MOST {
        return Err(UserError::Full { most: MOST });
    }
    let id = users.last_key_value().map_or(0, |(id, _)| *id) + 1;
    let user = User { id, name: new.name, email: new.email };
    users.insert(id, user.clone());
    Ok(user)
}

/// `own` is the id of the user that may have the address.
fn check(users: &BTreeMap<i64, User>, new: &NewUser, own: i64) -> Result<(), UserError> {
    let errors: Vec<_> = [check_name(&new.name), check_email(&new.email)].into_iter().flatten().collect();
    if !errors.is_empty() {
        return Err(UserError::Invalid(errors));
    }
    match users.values().find(|user| user.email == new.email && user.id != own) {
        Some(other) => Err(UserError::EmailTaken { email: new.email.clone(), id: other.id }),
        None => Ok(()),
    }
}

fn check_name(name: &str) -> Option<FieldError> {
    let fits = (1..=100).contains(&name.chars().count()) && !name.trim().is_empty();
    (!fits).then(|| FieldError::new("name", "must have 1 to 100 characters"))
}

fn check_email(email: &str) -> Option<FieldError> {
    let parts =
        email.split_once('@').filter(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
    let fits = parts.is_some() && email.len() <= 254 && !email.chars().any(|c| c.is_whitespace() || c.is_control());
    (!fits).then(|| FieldError::new("email", "must be an address such as ada@shop.example"))
}
