//! Inventory over gRPC: each call is one transaction.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{InventoryError, Items, store};
use crate::db::{self, Db};
use crate::faults::Faults;
use crate::proto;
use crate::proto::inventory_service_server::InventoryService;

/// The service.
#[derive(Clone, Debug)]
pub struct InventoryGrpc {
    db: Db,
    faults: Arc<Faults>,
}

impl InventoryGrpc {
    /// The faults make it slow, and let calls fail before anything is done.
    #[must_use]
    pub fn new(db: Db, faults: Arc<Faults>) -> Self {
        Self { db, faults }
    }
}

#[tonic::async_trait]
impl InventoryService for InventoryGrpc {
    async fn reserve(
        &self,
        request: Request<proto::ReserveRequest>,
    ) -> Result<Response<proto::ReserveResponse>, Status> {
        self.faults.strike().await?;
        let proto::ReserveRequest { order_id, items } = request.into_inner();
        let items = Items::try_from(items)?;
        let mut work = self.begin().await?;
        store::reserve(&mut work, order_id, &items).await?;
        work.commit().await.map_err(InventoryError::from)?;
        Ok(Response::new(proto::ReserveResponse {}))
    }

    async fn release(
        &self,
        request: Request<proto::ReleaseRequest>,
    ) -> Result<Response<proto::ReleaseResponse>, Status> {
        self.faults.strike().await?;
        let mut work = self.begin().await?;
        store::release(&mut work, request.into_inner().order_id).await?;
        work.commit().await.map_err(InventoryError::from)?;
        Ok(Response::new(proto::ReleaseResponse {}))
    }

    async fn list_stock(
        &self,
        _: Request<proto::ListStockRequest>,
    ) -> Result<Response<proto::ListStockResponse>, Status> {
        self.faults.strike().await?;
        let mut connection = self.db.pool.acquire().await.map_err(InventoryError::from)?;
        Ok(Response::new(proto::ListStockResponse { stock: store::list(&mut connection).await? }))
    }

    async fn restock(&self, request: Request<proto::RestockRequest>) -> Result<Response<proto::Stock>, Status> {
        self.faults.strike().await?;
        let proto::RestockRequest { product_id, quantity } = request.into_inner();
        let mut work = self.begin().await?;
        let stock = store::restock(&mut work, product_id, quantity).await?;
        work.commit().await.map_err(InventoryError::from)?;
        Ok(Response::new(stock))
    }
}

impl InventoryGrpc {
    async fn begin(&self) -> Result<sqlx::Transaction<'static, sqlx::Any>, InventoryError> {
        Ok(self.db.begin().await?)
    }
}

impl From<InventoryError> for Status {
    fn from(error: InventoryError) -> Self {
        let message = error.to_string();
        match error {
            InventoryError::Invalid { .. } => Self::invalid_argument(message),
            InventoryError::UnknownProduct { .. } => Self::not_found(message),
            InventoryError::Short { .. } => Self::failed_precondition(message),
            InventoryError::Released { .. } => Self::aborted(message),
            InventoryError::Database(error) => db::status(&error),
        }
    }
}
