//! Functions that know the session: who asks, and the warehouse's secrets.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Int32Type, Int64Type, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use siphasher::sip128::{Hasher128, SipHasher24};

use super::moment::Shared;
use crate::lake::schema;
use crate::pg_catalog::type_name;
use crate::security::{Principal, SessionError};
use crate::wire::ColumnType;

/// `charge_id(provider, billing account, period, line key, line no, start)`: a keyed hash, so
/// that an id tells nothing and survives a new delivery of the same line.
pub(crate) fn charge_id(secret: &[u8; 32]) -> Arc<ScalarUDF> {
    let mut key = [0; 16];
    key.copy_from_slice(&secret[..16]);
    Arc::new(ScalarUDF::from(ChargeId { key, signature: Signature::any(6, Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ChargeId {
    key: [u8; 16],
    signature: Signature,
}

impl ScalarUDFImpl for ChargeId {
    fn name(&self) -> &str {
        "charge_id"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [provider, account, period, key, number, start] = arrays.as_slice() else {
            return Err(DataFusionError::Internal("charge_id takes six arguments".to_owned()));
        };
        let provider = cast(provider, &DataType::Utf8View)?;
        let account = cast(account, &DataType::Utf8View)?;
        let (provider, account) = (provider.as_string_view(), account.as_string_view());
        let (period, key) = (period.as_primitive::<Date32Type>(), key.as_primitive::<Int64Type>());
        let (number, start) = (number.as_primitive::<Int32Type>(), start.as_primitive::<TimestampMicrosecondType>());
        let mut ids = StringViewBuilder::with_capacity(args.number_rows);
        let mut text = [0_u8; 32];
        for row in 0..args.number_rows {
            let mut hasher = SipHasher24::new_with_key(&self.key);
            for column in [provider, account] {
                if column.is_null(row) { "" } else { column.value(row) }.hash(&mut hasher);
            }
            hasher.write_i32(period.value(row));
            hasher.write_i64(key.value(row));
            hasher.write_i32(number.value(row));
            hasher.write_i64(start.value(row));
            let hash = hasher.finish128().as_u128();
            for (at, digit) in text.iter_mut().enumerate() {
                let nibble = (hash >> (124 - 4 * at)) & 0xf;
                *digit = b"0123456789abcdef"[usize::try_from(nibble).unwrap_or_default()];
            }
            ids.append_value(std::str::from_utf8(&text).unwrap_or_default());
        }
        Ok(ColumnarValue::Array(Arc::new(ids.finish())))
    }
}

/// A function without arguments whose value is fixed for the session.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Constant {
    name: &'static str,
    value: Option<String>,
    signature: Signature,
}

impl ScalarUDFImpl for Constant {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8(self.value.clone())))
    }
}

/// What a session can ask about itself.
pub(crate) fn identity(principal: &Principal, version: &str) -> Vec<Arc<ScalarUDF>> {
    let constants = [
        ("current_user", Some(principal.login.clone())),
        ("session_user", Some(principal.login.clone())),
        ("user", Some(principal.login.clone())),
        ("current_node", Some(principal.node_id.clone())),
        ("current_role_name", Some(principal.role.name().to_owned())),
        ("current_database", Some(super::relation_catalog::DATABASE.to_owned())),
        ("current_catalog", Some(super::relation_catalog::DATABASE.to_owned())),
        ("current_schema", Some("public".to_owned())),
        ("version", Some(version.to_owned())),
    ];
    constants
        .into_iter()
        .map(|(name, value)| {
            Arc::new(ScalarUDF::from(Constant { name, value, signature: Signature::nullary(Volatility::Stable) }))
        })
        .collect()
}

/// The name of the caller's seller, for documents that name their issuer: the node above it as
/// the statement's moment knows it; null for the root, whose seller is each row's provider.
pub(crate) fn current_seller(shared: &Arc<Shared>) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(CurrentSeller {
        shared: Seller(Arc::clone(shared)),
        signature: Signature::nullary(Volatility::Stable),
    }))
}

/// Two of these are the same when they ask the same session.
#[derive(Debug)]
struct Seller(Arc<Shared>);

impl PartialEq for Seller {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Seller {}

impl Hash for Seller {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CurrentSeller {
    shared: Seller,
    signature: Signature,
}

impl ScalarUDFImpl for CurrentSeller {
    fn name(&self) -> &str {
        "current_seller"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let moment = self.shared.0.moment();
        let name = moment.tree.parent(&moment.scope.node_id).map(|parent| moment.tree.name(parent).unwrap_or(parent));
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8(name.map(str::to_owned))))
    }
}

/// Two functions of one session are the same when they ask the same session.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct AtMoment {
    shared: Seller,
    pub(super) signature: Signature,
}

impl AtMoment {
    pub(super) fn new(shared: &Arc<Shared>, signature: Signature) -> Self {
        Self { shared: Seller(Arc::clone(shared)), signature }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared.0
    }
}

/// `fx(amount, from, to, at, policy)` over the rates that the statement's moment knows and the
/// caller's subtree uses.
pub(crate) fn fx(shared: &Arc<Shared>) -> Arc<ScalarUDF> {
    let text = DataType::Utf8View;
    let arguments = vec![schema::money(), text.clone(), text.clone(), schema::instant(), text];
    Arc::new(ScalarUDF::from(Fx(AtMoment {
        shared: Seller(Arc::clone(shared)),
        signature: Signature::exact(arguments, Volatility::Stable),
    })))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Fx(AtMoment);

impl ScalarUDFImpl for Fx {
    fn name(&self) -> &str {
        "fx"
    }

    fn signature(&self) -> &Signature {
        &self.0.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(schema::money())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let shared = &self.0.shared.0;
        let moment = shared.moment();
        if !moment.scope.is_root {
            let own = &moment.scope.node_id;
            let policies = args.args.last().cloned().map(|policy| policy.into_array(args.number_rows)).transpose()?;
            let policies = policies.map(|array| cast(&array, &DataType::Utf8View)).transpose()?;
            let known = policies.is_none_or(|array| {
                array.as_string_view().iter().flatten().all(|source| moment.tree.uses_rates_of(source, own))
            });
            if !known {
                return Err(DataFusionError::External(Box::new(no_rate())));
            }
        }
        let book =
            shared.core.book(moment.snapshot).map_err(|error| DataFusionError::External(Box::new(error.shown())))?;
        crate::rating::fx(&book).inner().invoke_with_args(args).map_err(|error| match error.find_root() {
            DataFusionError::Execution(text) if text.contains("rate from") => {
                DataFusionError::External(Box::new(no_rate()))
            }
            _ => error,
        })
    }
}

fn no_rate() -> SessionError {
    SessionError::new("22023", "no exchange rate for that source, pair and date")
        .hint("ref.fx_rates has the rates; a missing one is never 1")
}

/// `mask_margin(amount, owner path)` for the session's node: shows amounts of its own subtree only.
pub(crate) fn mask_margin(shared: &Arc<Shared>) -> Arc<ScalarUDF> {
    let template = ratehouse_udfs::money::mask_margin(None);
    let signature = template.signature().clone();
    Arc::new(ScalarUDF::from(MaskMargin(AtMoment { shared: Seller(Arc::clone(shared)), signature })))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MaskMargin(AtMoment);

impl MaskMargin {
    fn of_viewer(&self) -> ScalarUDF {
        let moment = self.0.shared.0.moment();
        let places = moment.tree.places(&moment.scope.node_id);
        let path = places.into_iter().max_by(|a, b| a.from.cmp(&b.from)).map(|place| place.path);
        ratehouse_udfs::money::mask_margin(path)
    }
}

impl ScalarUDFImpl for MaskMargin {
    fn name(&self) -> &str {
        "mask_margin"
    }

    fn signature(&self) -> &Signature {
        &self.0.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        ratehouse_udfs::money::mask_margin(None).return_type(arguments)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.of_viewer().inner().invoke_with_args(args)
    }
}

/// `pg_typeof(x)`: the name of the type under which a client is sent the value.
pub(crate) fn pg_typeof() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(PgTypeof { signature: Signature::any(1, Volatility::Stable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PgTypeof {
    signature: Signature,
}

impl ScalarUDFImpl for PgTypeof {
    fn name(&self) -> &str {
        "pg_typeof"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let oid = args.arg_fields.first().and_then(|field| ColumnType::of(field).ok()).map(|column| column.oid);
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8(oid.map(type_name))))
    }
}
