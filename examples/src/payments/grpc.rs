//! Payments over gRPC: each call is one transaction.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{Charge, PaymentError, store};
use crate::db::{self, Db};
use crate::faults::Faults;
use crate::proto;
use crate::proto::payment_service_server::PaymentService;

/// The service.
#[derive(Clone, Debug)]
pub struct PaymentsGrpc {
    db: Db,
    opening_cents: i64,
    faults: Arc<Faults>,
}

impl PaymentsGrpc {
    /// New accounts begin with `opening_cents`. The faults make it slow, and let calls fail before anything is done.
    #[must_use]
    pub fn new(db: Db, opening_cents: i64, faults: Arc<Faults>) -> Self {
        Self { db, opening_cents, faults }
    }
}

#[tonic::async_trait]
impl PaymentService for PaymentsGrpc {
    async fn charge(&self, request: Request<proto::ChargeRequest>) -> Result<Response<proto::ChargeResponse>, Status> {
        self.faults.strike().await?;
        let proto::ChargeRequest { order_id, user_id, amount_cents } = request.into_inner();
        let mut work = self.db.begin().await.map_err(PaymentError::from)?;
        store::charge(&mut work, Charge { order_id, user_id, amount_cents }, self.opening_cents).await?;
        work.commit().await.map_err(PaymentError::from)?;
        Ok(Response::new(proto::ChargeResponse {}))
    }

    async fn refund(&self, request: Request<proto::RefundRequest>) -> Result<Response<proto::RefundResponse>, Status> {
        self.faults.strike().await?;
        let mut work = self.db.begin().await.map_err(PaymentError::from)?;
        store::refund(&mut work, request.into_inner().order_id).await?;
        work.commit().await.map_err(PaymentError::from)?;
        Ok(Response::new(proto::RefundResponse {}))
    }

    async fn list_accounts(
        &self,
        _: Request<proto::ListAccountsRequest>,
    ) -> Result<Response<proto::ListAccountsResponse>, Status> {
        self.faults.strike().await?;
        let mut connection = self.db.pool.acquire().await.map_err(PaymentError::from)?;
        Ok(Response::new(proto::ListAccountsResponse { accounts: store::list(&mut connection).await? }))
    }
}

impl From<PaymentError> for Status {
    fn from(error: PaymentError) -> Self {
        let message = error.to_string();
        match error {
            PaymentError::Invalid { .. } => Self::invalid_argument(message),
            PaymentError::TooLittle { .. } => Self::failed_precondition(message),
            PaymentError::Refunded { .. } => Self::aborted(message),
            PaymentError::Database(error) => db::status(&error),
        }
    }
}
