//! A session's figures as an OTLP request.

use bayplan_trace::quantities::{Number, Unit};
use prost::Message;

use super::messages::{
    Any, AnyValue, Data, ExportRequest, Gauge, InstrumentationScope, KeyValue, Metric, NumberDataPoint,
    Resource, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, Temporality, Value,
    ValueAtQuantile,
};
use crate::metrics::{Family, Measured, Point, Told, about, families, seconds};

/// The figures of a session at a time, in nanoseconds since the Unix epoch, as the bytes of an `ExportMetricsServiceRequest`.
pub(super) fn request(told: &Told<'_>, now: u64) -> Vec<u8> {
    let begun = told.timeline.session.as_ref().map_or(0, |session| session.start_unix_ns);
    let times = Times { begun, now: now.max(begun) };
    let scope =
        InstrumentationScope { name: "bayplan".into(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let metrics = families(told).iter().map(|family| times.metric(family)).collect();
    let own = ResourceMetrics {
        resource: Some(Resource { attributes: resource(&about(told)) }),
        scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics }],
    };
    ExportRequest { resource_metrics: vec![own] }.encode_to_vec()
}

/// Who tells, by OpenTelemetry's names where it has any.
fn resource(about: &[(&'static str, String)]) -> Vec<KeyValue> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut attributes = vec![key_value("service.name", "bayplan"), key_value("host.name", &host)];
    attributes.extend(about.iter().map(|(name, text)| {
        let key = match *name {
            "run" => "service.instance.id".to_owned(),
            "version" => "service.version".to_owned(),
            "pid" => "process.pid".to_owned(),
            own => format!("bayplan.{own}"),
        };
        match text.parse().ok().filter(|_| *name == "pid") {
            Some(number) => attribute(&key, Any::Int(number)),
            None => key_value(&key, text),
        }
    }));
    attributes
}

fn key_value(key: &str, text: &str) -> KeyValue {
    attribute(key, Any::Text(text.to_owned()))
}

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

/// When the session began, and when it was looked at.
struct Times {
    begun: u64,
    now: u64,
}

impl Times {
    fn metric(&self, family: &Family) -> Metric {
        let unit = match family.unit {
            Unit::Bytes => "By",
            Unit::Nanos => "s",
            Unit::BytesPerSecond => "By/s",
            Unit::Ratio | Unit::Count => "1",
        };
        let summaries: Vec<SummaryDataPoint> =
            family.points.iter().filter_map(|point| self.summary(family.unit, point)).collect();
        let numbers = || family.points.iter().filter_map(|point| self.number(family.unit, point)).collect();
        let data = match (summaries.is_empty(), family.cumulative) {
            (false, _) => Data::Summary(Summary { data_points: summaries }),
            (true, true) => Data::Sum(Sum {
                data_points: numbers(),
                aggregation_temporality: Temporality::Cumulative.into(),
                is_monotonic: true,
            }),
            (true, false) => Data::Gauge(Gauge { data_points: numbers() }),
        };
        Metric {
            name: format!("bayplan.{}", family.name),
            description: family.help.to_owned(),
            unit: unit.to_owned(),
            data: Some(data),
        }
    }

    fn number(&self, unit: Unit, point: &Point) -> Option<NumberDataPoint> {
        let Measured::Number(number) = point.value else { return None };
        let value = match (unit, number) {
            (Unit::Nanos, number) => Value::Double(seconds(number.as_f64())),
            (_, Number::Whole(number)) => {
                i64::try_from(number).map_or(Value::Double(number as f64), Value::Int)
            }
            (_, Number::Real(number)) => Value::Double(number),
        };
        Some(NumberDataPoint {
            attributes: attributes(point),
            start_time_unix_nano: self.begun,
            time_unix_nano: self.now,
            value: Some(value),
        })
    }

    fn summary(&self, unit: Unit, point: &Point) -> Option<SummaryDataPoint> {
        let Measured::Summary(summary) = &point.value else { return None };
        let scaled = |value: f64| if unit == Unit::Nanos { seconds(value) } else { value };
        let quantile = |&(quantile, value): &(f64, f64)| ValueAtQuantile { quantile, value: scaled(value) };
        Some(SummaryDataPoint {
            attributes: attributes(point),
            start_time_unix_nano: self.begun,
            time_unix_nano: self.now,
            count: summary.count,
            sum: scaled(summary.sum),
            quantile_values: summary.quantiles.iter().map(quantile).collect(),
        })
    }
}

fn attributes(point: &Point) -> Vec<KeyValue> {
    point.labels.iter().map(|(name, text)| key_value(name, text)).collect()
}
