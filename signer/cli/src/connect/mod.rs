//! The way to the server: mutual TLS 1.3, with the access CA's own certificate as the only trust anchor.

mod settings;
mod tls;

use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

pub(crate) use settings::{ConnectionArgs, Settings};
pub(crate) use tls::web_tls;

use crate::error::CliError;

/// A page of a CRL or bundle can be larger than gRPC's default of 4 MiB.
pub(crate) const MAX_MESSAGE: usize = 64 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects to the server.
pub(crate) async fn connect(args: &ConnectionArgs) -> Result<Channel, CliError> {
    let settings = args.settings()?;
    let server = settings.server()?;
    let config = tls::client_config(&settings)?;
    let name = tls::server_name(&settings, &server)?;
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let address = (server.host.clone(), server.port);
    let dial = service_fn(move |_: Uri| {
        let (connector, name, address) = (connector.clone(), name.clone(), address.clone());
        async move {
            let tcp = TcpStream::connect(address).await?;
            tcp.set_nodelay(true)?;
            Ok::<_, std::io::Error>(TokioIo::new(connector.connect(name, tcp).await?))
        }
    });
    // TLS is ours: tonic's own cannot be held to TLS 1.3, and takes `https` for a demand to use it.
    let plain = format!("http://{}", server.authority);
    let origin: Uri = format!("https://{}", server.authority)
        .parse()
        .map_err(|_| server.bad())?;
    Endpoint::from_shared(plain)
        .map_err(|_| server.bad())?
        .origin(origin)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(Duration::from_secs(settings.timeout_secs))
        .connect_with_connector(dial)
        .await
        .map_err(|e| CliError::Unavailable(format!("connect to https://{}: {}", server.authority, causes(&e))))
}

/// An error with everything that caused it, since the outermost only says "transport error".
fn causes(error: &dyn std::error::Error) -> String {
    let mut words = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if words.last().is_none_or(|last| !last.contains(&text)) {
            words.push(text);
        }
        next = cause.source();
    }
    words.join(": ")
}
