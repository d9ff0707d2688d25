//! Traces: what follows from a request, from its answer to the block that carries it, also over a restart in between.
//!
//! A request's span belongs to the trace that its `traceparent` header names, or begins one. What the request asks of the
//! chain keeps the name of that trace in its row ([`current`]); whoever carries it on later adds to the same trace ([`add`]).
//! Any room may know this one, as it may know the log. Where no collector is configured, nothing here costs anything.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span as _, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::Span;
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::registry::LookupSpan;

use crate::model::Millis;

/// The header, and the field of a row, that names a trace: W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";
/// The name that spans are filed under.
const SERVICE: &str = "preauthd";
/// How long a collector may take over one delivery.
const TIME_LIMIT: Duration = Duration::from_secs(5);

static IS_ON: AtomicBool = AtomicBool::new(false);

/// The way to a collector, as long as it is kept.
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Sends spans to the collector at `endpoint` (OTLP over HTTP; `/v1/traces` is put behind it), in the background.
    ///
    /// # Errors
    /// [`ExporterBuildError`] when nothing can be sent to such an address.
    pub fn to(endpoint: &str) -> Result<Self, ExporterBuildError> {
        // An error only says that a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .with_timeout(TIME_LIMIT)
            .build()?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(Resource::builder().with_service_name(SERVICE).build())
            .build();
        global::set_tracer_provider(provider.clone());
        IS_ON.store(true, Ordering::Relaxed);
        Ok(Self { provider })
    }

    /// What hands the log's spans on.
    pub fn layer<S>(&self) -> OpenTelemetryLayer<S, SdkTracer>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    {
        tracing_opentelemetry::layer().with_tracer(self.provider.tracer(SERVICE))
    }

    /// Delivers what has gathered. A collector that does not answer keeps nobody for longer than its time limit.
    pub async fn end(self) {
        let ended =
            tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(TIME_LIMIT)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last traces were not delivered");
        }
    }
}

/// Whether there is a collector: whether it is worth while to look for what could be added.
#[must_use]
pub fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// Has `span` belong to the trace that a caller names.
pub fn adopt(span: &Span, traceparent: &str) {
    // An error only says that nothing is traced.
    let _ = span.set_parent(context_of(traceparent));
}

/// The trace that the current span belongs to, as `traceparent` names it; `None`: it is not traced.
#[must_use]
pub fn current() -> Option<String> {
    let context = Span::current().context();
    if !context.span().span_context().is_sampled() {
        return None;
    }
    let mut fields = HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut fields);
    fields.remove(TRACEPARENT)
}

/// Adds to a trace something that began and has ended.
pub fn add(traceparent: &str, name: &'static str, began: Millis, ended: Millis, facts: Vec<KeyValue>) {
    let tracer = global::tracer(SERVICE);
    let mut span = tracer
        .span_builder(name)
        .with_start_time(system_time(began))
        .with_attributes(facts)
        .start_with_context(&tracer, &context_of(traceparent));
    span.end_with_timestamp(system_time(ended));
}

fn context_of(traceparent: &str) -> Context {
    let fields = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    TraceContextPropagator::new().extract(&fields)
}

fn system_time(time: Millis) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(time.0.unsigned_abs())
}
