//! Between the core's types and SQLite's columns.

use std::fmt::Display;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Result, ToSql};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stele_core::types::Time;

/// An index, count or number; SQLite's integers are signed.
#[derive(Clone, Copy)]
pub(crate) struct Int(pub(crate) u64);

impl ToSql for Int {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        let signed = i64::try_from(self.0).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
        Ok(signed.into())
    }
}

impl FromSql for Int {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let signed = value.as_i64()?;
        u64::try_from(signed)
            .map(Self)
            .map_err(|_| FromSqlError::OutOfRange(signed))
    }
}

/// A value in its text form.
pub(crate) struct Text<T>(pub(crate) T);

impl<T: Display> ToSql for Text<T> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(self.0.to_string().into())
    }
}

impl<T> FromSql for Text<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Self).map_err(FromSqlError::other)
    }
}

/// A value in its JSON form.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize> ToSql for Json<T> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        let json = serde_json::to_string(&self.0).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
        Ok(json.into())
    }
}

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?)
            .map(Self)
            .map_err(FromSqlError::other)
    }
}

/// A time, as milliseconds since the epoch.
pub(crate) struct Millis(pub(crate) Time);

impl ToSql for Millis {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        // Below 2^63: `Time` ends with the year 9999.
        Ok(i64::try_from(self.0.millis()).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for Millis {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Int::column_result(value).map(|millis| Self(Time::from_millis(millis.0)))
    }
}
