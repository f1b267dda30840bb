//! A participant over gRPC.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{Participant, Refusal, Work};
use crate::db;
use crate::faults::Faults;
use crate::proto;
use crate::proto::participant_server::{Participant as Service, ParticipantServer};

/// The gRPC service of a participant. The faults make it slow, and let calls fail before anything is done.
pub fn service<W: Work>(participant: Arc<Participant<W>>, faults: Arc<Faults>) -> ParticipantServer<impl Service> {
    ParticipantServer::new(ParticipantGrpc { participant, faults })
}

struct ParticipantGrpc<W> {
    participant: Arc<Participant<W>>,
    faults: Arc<Faults>,
}

#[tonic::async_trait]
impl<W: Work> Service for ParticipantGrpc<W> {
    async fn prepare(
        &self,
        request: Request<proto::PrepareRequest>,
    ) -> Result<Response<proto::PrepareResponse>, Status> {
        self.faults.strike().await?;
        let proto::PrepareRequest { transaction_id, work } = request.into_inner();
        let work = work.ok_or_else(|| Status::invalid_argument("say what is to be prepared: reserve or charge"))?;
        match self.participant.prepare(check(transaction_id)?, work).await {
            Ok(()) => Ok(Response::new(proto::PrepareResponse { yes: true, reason: String::new() })),
            Err(Refusal::No(reason)) => Ok(Response::new(proto::PrepareResponse { yes: false, reason })),
            Err(Refusal::Database(error)) => Err(db::status(&error)),
        }
    }

    async fn decide(&self, request: Request<proto::DecideRequest>) -> Result<Response<proto::DecideResponse>, Status> {
        self.faults.strike().await?;
        let request = request.into_inner();
        let id = check(request.transaction_id)?;
        if request.decision() == proto::Decision::Undecided {
            return Err(Status::invalid_argument("say what was decided: COMMIT or ABORT"));
        }
        self.participant.decide(id, request.decision()).await?;
        Ok(Response::new(proto::DecideResponse {}))
    }

    async fn list_in_doubt(
        &self,
        _: Request<proto::ListInDoubtRequest>,
    ) -> Result<Response<proto::ListInDoubtResponse>, Status> {
        self.faults.strike().await?;
        let in_doubt = self.participant.in_doubt().await.map_err(|error| db::status(&error))?;
        let transaction_ids = in_doubt.iter().map(|promise| promise.id).collect();
        Ok(Response::new(proto::ListInDoubtResponse { transaction_ids }))
    }
}

fn check(id: i64) -> Result<i64, Status> {
    if id < 1 { Err(Status::invalid_argument("transaction_id must be 1 or more")) } else { Ok(id) }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::No(reason) => Self::failed_precondition(reason),
            Refusal::Database(error) => db::status(&error),
        }
    }
}
