//! What the macros get wrong about parameters: an optional one is absent, never null.

use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::{OpenApi, PathItem, RefOr};

/// Takes null out of the schemas of all parameters.
pub(super) fn never_null(api: &mut OpenApi) {
    for item in api.paths.paths.values_mut() {
        let PathItem { get, post, put, delete, patch, .. } = item;
        let operations = [get, post, put, delete, patch].into_iter().flatten();
        operations.flat_map(parameters).filter_map(|one| one.schema.as_mut()).for_each(without_null);
    }
}

fn parameters(operation: &mut Operation) -> impl Iterator<Item = &mut Parameter> {
    operation.parameters.iter_mut().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    })
}

fn without_null(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            if let SchemaType::Array(types) = &mut object.schema_type {
                types.retain(|one| *one != Type::Null);
                if let [only] = types.as_slice() {
                    object.schema_type = SchemaType::Type(only.clone());
                }
            }
        }
        RefOr::T(Schema::OneOf(forms)) => {
            forms.items.retain(|form| !is_null(form));
            if let [only] = forms.items.as_slice() {
                *schema = only.clone();
            }
        }
        _ => {}
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}
