use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, Visitor},
};

/// The longest value, in bytes.
pub(crate) const MAX_TEXT: usize = 512;

/// A value that a request gives for a parameter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum ParamValue {
    /// True or false.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// Anything else, among it numbers with a fraction.
    Text(String),
}

impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for ParamValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

/// By hand, for the sake of whoever gives a list or a map: what serde derives says only that nothing matched.
struct ValueVisitor;

impl Visitor<'_> for ValueVisitor {
    type Value = ParamValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value of a parameter, which is a text, a number, true or false")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<ParamValue, E> {
        Ok(ParamValue::Flag(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<ParamValue, E> {
        Ok(ParamValue::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<ParamValue, E> {
        Ok(i64::try_from(number).map_or_else(|_| ParamValue::Text(number.to_string()), ParamValue::Integer))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<ParamValue, E> {
        Ok(ParamValue::Text(number.to_string()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ParamValue, E> {
        if text.len() > MAX_TEXT {
            return Err(E::custom(format!("a value has more than {MAX_TEXT} bytes")));
        }
        Ok(ParamValue::Text(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use crate::Params;

    #[test]
    fn a_value_of_another_shape_is_told_what_a_value_is() {
        let read = |json: &str| serde_json::from_str::<Params>(json).map_err(|error| error.to_string());
        for (json, found) in
            [(r#"{"out": [1, 2]}"#, "sequence"), (r#"{"out": {"a": 1}}"#, "map"), (r#"{"out": null}"#, "null")]
        {
            let error = read(json).unwrap_err();
            let said = format!(
                "invalid type: {found}, expected the value of a parameter, which is a text, a number, true or false"
            );
            assert!(error.starts_with(&said), "{error}");
        }
        let values = read(r#"{"a": 18446744073709551615, "b": -1, "c": 0.5, "d": true}"#).unwrap();
        let read = values.values().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(read, ["18446744073709551615", "-1", "0.5", "true"]);
    }
}
