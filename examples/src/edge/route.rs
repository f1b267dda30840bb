//! Which service answers which path.

use axum::http::Method;

use crate::client::Client;
use crate::settings;

/// Who may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever is logged in.
    LoggedIn,
    /// To look at: everyone. To change something: whoever is logged in.
    EveryoneLooks,
}

/// A path, with all below it, and the service behind.
#[derive(Clone, Debug)]
pub struct Route {
    /// Such as `/orders`.
    pub prefix: &'static str,
    /// Who answers.
    pub service: Client,
    /// Who may ask.
    pub access: Access,
}

/// All routes.
#[derive(Clone, Debug)]
pub struct Routes(pub Vec<Route>);

const TABLE: [(&str, &str, &str, Access); 7] = [
    ("/users", "USERS_REST_URL", "http://users:8080", Access::LoggedIn),
    ("/products", "CATALOG_URL", "http://catalog:8080", Access::EveryoneLooks),
    ("/orders", "ORDERS_URL", "http://orders:8080", Access::LoggedIn),
    ("/notifications", "NOTIFICATIONS_URL", "http://notifications:8080", Access::LoggedIn),
    ("/sales", "ANALYTICS_URL", "http://analytics:8080", Access::LoggedIn),
    ("/web", "WEB_BFF_URL", "http://web-bff:8080", Access::EveryoneLooks),
    ("/mobile", "MOBILE_BFF_URL", "http://mobile-bff:8080", Access::LoggedIn),
];

impl Routes {
    /// The shop's routes; a variable for each says where its service is.
    ///
    /// # Errors
    /// A value that is no URL.
    pub fn from_env() -> anyhow::Result<Self> {
        let route = |(prefix, variable, default, access)| {
            anyhow::Ok(Route { prefix, service: settings::service(variable, default)?, access })
        };
        Ok(Self(TABLE.into_iter().map(route).collect::<Result<_, _>>()?))
    }

    /// The route that `path` is on.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Route> {
        self.0
            .iter()
            .find(|route| path.strip_prefix(route.prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }
}

impl Access {
    /// Whether `method` needs a user.
    #[must_use]
    pub fn needs_user(self, method: &Method) -> bool {
        match self {
            Self::LoggedIn => true,
            Self::EveryoneLooks => !method.is_safe(),
        }
    }
}
