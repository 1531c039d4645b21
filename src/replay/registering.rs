//! Makes the connections of reqwest known, which keeps them to itself.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::{Connection, HttpInfo};
use tower_layer::Layer;
use tower_service::Service;

use super::own::OwnConnections;

/// Stands around whatever makes reqwest's connections, and registers each before a request goes over it. What a
/// proxy and TLS have said to each other by then holds no request of the capture.
#[derive(Clone, Debug)]
pub(super) struct Registering(pub(super) OwnConnections);

impl<S> Layer<S> for Registering {
    type Service = RegisteringConnector<S>;

    fn layer(&self, connector: S) -> Self::Service {
        RegisteringConnector { connector, own: self.0.clone() }
    }
}

/// A connector whose connections are registered.
#[derive(Clone, Debug)]
pub(super) struct RegisteringConnector<S> {
    connector: S,
    own: OwnConnections,
}

impl<S, R> Service<R> for RegisteringConnector<S>
where
    S: Service<R, Response: Connection, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, destination: R) -> Self::Future {
        let (connecting, own) = (self.connector.call(destination), self.own.clone());
        Box::pin(async move {
            let connection = connecting.await?;
            register(&own, &connection);
            Ok(connection)
        })
    }
}

/// A connection through a file has no addresses, and passes no interface.
#[expect(clippy::default_trait_access, reason = "the crate of the type is none that is used here otherwise")]
fn register(own: &OwnConnections, connection: &impl Connection) {
    let mut told = Default::default();
    connection.connected().get_extras(&mut told);
    if let Some(info) = told.get::<HttpInfo>() {
        own.register_for_good(info.local_addr(), info.remote_addr());
    }
}
