//! Reads of the API: asked of the node that they are about, else of whichever endpoint answers.
//!
//! One for which pveproxy itself got no answer is asked once more. A read is tried again on a fresh connection if a kept
//! one has gone stale, and then at the other endpoints. One that was not answered in time is not repeated at the same
//! endpoint: whoever did not answer is left for the others, and asked again later.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Duration;

use quorate_core::command::Method;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::api::{Endpoint, LiveApi, in_doubt, may_go_elsewhere, most_telling};
use super::stopwatch::Stopwatch;
use crate::ports::{ApiData, ApiError, ApiRequest};

/// So many endpoints may fail to answer one read in time; a cluster in which more do has no API.
const SILENT_ONES: u32 = 3;

impl LiveApi {
    pub(super) async fn read(&self, request: &ApiRequest) -> Result<ApiData, ApiError> {
        let most = self.read * SILENT_ONES;
        let late = |_| Err(ApiError::Unreachable(format!("not answered within {} s", most.as_secs())));
        timeout(most, self.read_somewhere(request)).await.unwrap_or_else(late)
    }

    async fn read_somewhere(&self, request: &ApiRequest) -> Result<ApiData, ApiError> {
        let mut failures: Vec<ApiError> = Vec::new();
        let own = self.own_endpoint(request);
        let mut turns = VecDeque::from(self.turns(request, own));
        let mut asked_again = false;
        while let Some(index) = turns.pop_front() {
            let endpoint = &self.endpoints[index];
            match self.read_at(endpoint, request).await {
                Err(error) if !asked_again && of_the_proxy(&error) => {
                    warn!(node = %endpoint.name, %error, "the proxy of this node got no answer, it is asked again");
                    asked_again = true;
                    turns.push_back(index);
                    failures.push(error);
                }
                Err(error) if may_go_elsewhere(&error, Method::Get) => {
                    // A question about another node may have got lost there.
                    if own.is_none_or(|own| own == index) || !matches!(error, ApiError::InDoubt { .. }) {
                        endpoint.leave_alone();
                        self.prefer(index, false);
                    }
                    warn!(node = %endpoint.name, %error, "the API of this node failed, the others are tried");
                    failures.push(error);
                }
                answered => {
                    endpoint.answered();
                    if own != Some(index) {
                        self.prefer(index, true);
                    }
                    return answered;
                }
            }
        }
        Err(most_telling(failures))
    }

    /// What is below `/nodes/N` is read from N itself: another node would only forward the request, and a node that
    /// forwards all requests is a bottleneck.
    pub(super) fn own_endpoint(&self, request: &ApiRequest) -> Option<usize> {
        self.endpoints.iter().position(|endpoint| request.node() == Some(endpoint.name.as_str()))
    }

    /// Who is asked, one after the other: those that are left alone only when nobody else answers.
    fn turns(&self, request: &ApiRequest, own: Option<usize>) -> Vec<usize> {
        let order = self.order.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let order = own.into_iter().chain(order.into_iter().filter(|index| Some(*index) != own));
        let mut turns: Vec<usize> =
            order.filter(|index| !request.avoid.contains(&self.endpoints[*index].name)).collect();
        turns.sort_by_key(|index| self.endpoints[*index].is_left_alone(self.rest));
        turns
    }

    /// Uses a kept connection if there is one; otherwise, or if that was closed, a fresh one.
    async fn read_at(&self, endpoint: &Endpoint, request: &ApiRequest) -> Result<ApiData, ApiError> {
        let attempt = async {
            let _permit = endpoint.permits.acquire().await;
            if let Some(sender) = endpoint.take() {
                if let Ok(data) = self.exchange(endpoint, sender, request).await {
                    return data;
                }
                debug!(node = %endpoint.name, "a kept connection was closed, a new one is tried");
            }
            let sender = self.open_or_take_over(endpoint).await?;
            self.exchange(endpoint, sender, request).await.unwrap_or_else(|reason| Err(in_doubt(endpoint, reason)))
        };
        let late = |_| Err(in_doubt(endpoint, format!("not answered within {} s", self.read.as_secs())));
        timeout(self.read, attempt).await.unwrap_or_else(late)
    }
}

/// Did pveproxy get no answer from the node or the worker that it passed the question on to? Its own statuses for that
/// are 595 to 599 (AnyEvent::HTTP), and most of them are over with the next request.
fn of_the_proxy(error: &ApiError) -> bool {
    matches!(error, ApiError::Refused { status: 595..=599, .. })
}

impl Endpoint {
    /// It did not answer.
    fn leave_alone(&self) {
        *self.silent_since() = Some(Stopwatch::start());
    }

    fn answered(&self) {
        *self.silent_since() = None;
    }

    fn is_left_alone(&self, rest: Duration) -> bool {
        self.silent_since().as_ref().is_some_and(|since| since.passed() < rest)
    }

    fn silent_since(&self) -> std::sync::MutexGuard<'_, Option<Stopwatch>> {
        self.silent_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
