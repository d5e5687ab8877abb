//! `yc-server`: a signalling server and SFU of the yc screen-share suite.
//!
//! Exit codes: 0 ended by ctrl-c or SIGTERM; 1 failed while running; 2 bad argument or environment, or the
//! port is in use.

mod cli;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context as _, anyhow};
use clap::Parser as _;
use cli::{Cli, Command, Serve, TokenArgs};
use serde_json::json;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use yc_server::{App, Tls, Viewer};
use yc_sfu::server::{MediaAddress, ServerConfig, SfuServer, TokenKey};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Some(Command::Token(args)) => token(&args, cli.serve.token_key.as_deref()),
        None => serve(cli.serve),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, error }) => {
            eprintln!("yc-server: {error:#}");
            ExitCode::from(code)
        }
    }
}

struct Failure {
    code: u8,
    error: anyhow::Error,
}

/// A failure that the person who started the server can mend.
fn usage(error: impl Into<anyhow::Error>) -> Failure {
    Failure { code: 2, error: error.into() }
}

fn runtime(error: impl Into<anyhow::Error>) -> Failure {
    Failure { code: 1, error: error.into() }
}

fn token(args: &TokenArgs, key: Option<&str>) -> Result<(), Failure> {
    let key = key.ok_or_else(|| {
        usage(anyhow!("a token is signed with the server's key: give --token-key or YC_SERVER_TOKEN_KEY"))
    })?;
    let key = TokenKey::from_hex(key).map_err(|error| usage(anyhow!(error)))?;
    let token = key.mint(&args.room, args.role, args.ttl(), SystemTime::now());
    println!("{}", token.text);
    Ok(())
}

fn serve(args: Serve) -> Result<(), Failure> {
    let media = MediaAddress::from_env().map_err(usage)?;
    let (key, made_key) = match &args.token_key {
        Some(hex) => (TokenKey::from_hex(hex).map_err(|error| usage(anyhow!(error)))?, None),
        None => {
            let key = TokenKey::random().context("the system's random source").map_err(runtime)?;
            let hex = key.to_hex();
            (key, Some(hex))
        }
    };
    let mut config = ServerConfig::default().with_max_peers(args.max_peers).with_media(media);
    if let Some(workers) = args.workers {
        config = config.with_workers(workers);
    }
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) => tracing_subscriber::EnvFilter::try_new(&text)
            .with_context(|| format!("RUST_LOG={text:?}"))
            .map_err(usage)?,
        Err(_) => tracing_subscriber::EnvFilter::new("info,mediasoup=warn"),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(filter_fn(shows_no_message))
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr))
        .init();
    let tls = args.tls_cert.as_deref().zip(args.tls_key.as_deref());
    let tls =
        tls.map(|(certificate, key)| Tls::from_pem_files(certificate, key)).transpose().map_err(usage)?;
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(runtime)?;
    tokio.block_on(async {
        let listener = tokio::net::TcpListener::bind(args.listen)
            .await
            .with_context(|| format!("cannot listen on {}: is the port in use?", args.listen))
            .map_err(usage)?;
        let sfu =
            SfuServer::start(config, key).await.context("starting mediasoup workers").map_err(runtime)?;
        let viewer = Viewer::new(args.viewer_dir);
        if !viewer.is_built() {
            tracing::warn!("{}", viewer.how_to_build());
        }
        let mut app = App::new(sfu, viewer, listener).map_err(runtime)?;
        if let Some(tls) = tls {
            app = app.with_tls(tls);
        }
        announce(&app, made_key.as_deref(), args.json).map_err(runtime)?;
        app.run(terminated()).await.map_err(runtime)
    })
}

/// The WebSocket library and mediasoup trace whole messages, and in them are room tokens and the keys of shares:
/// whatever `RUST_LOG` says, they are not for a log.
fn shows_no_message(about: &tracing::Metadata<'_>) -> bool {
    let carries = |name| about.target().starts_with(name);
    *about.level() < tracing::Level::TRACE || !(carries("tungstenite") || carries("mediasoup"))
}

/// The ready line: people get where to go, machines get JSON.
fn announce(app: &App, made_key: Option<&str>, json: bool) -> anyhow::Result<()> {
    let (http, ws) = (app.http_url(), app.ws_url());
    let mut out = std::io::stdout().lock();
    if json {
        let mut line = json!({ "ready": true, "http": http, "ws": ws });
        if let Some(key) = made_key {
            line["token_key"] = key.into();
        }
        writeln!(out, "{line}")?;
    } else {
        writeln!(out, "yc-server listens: viewer {http}/?room=ROOM&token=TOKEN, WebSocket {ws}")?;
        if let Some(key) = made_key {
            writeln!(out, "No token key was given; this run's is {key}")?;
            writeln!(
                out,
                "A room token: yc-server token --token-key {key} --room demo --role both --ttl 3600"
            )?;
        }
    }
    Ok(out.flush()?)
}

/// Resolves on ctrl-c, or SIGTERM where there is one.
async fn terminated() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
    tracing::info!("shutting down");
}
