//! What may be changed in the records, and what is said where it may not. Nothing here saves or starts anything.

use faas_provider::{FunctionNamespace, ProviderError, Secret};

use crate::records::{FunctionRecord, Records, SecretValue};

impl Records {
    /// That a namespace exists.
    pub(crate) fn namespace(&self, name: &str) -> Result<&FunctionNamespace, ProviderError> {
        let namespace = self.namespaces.get(name);
        namespace.ok_or_else(|| ProviderError::NamespaceNotFound(name.to_owned()))
    }

    /// The same where it is a field of a body that the caller can mend.
    pub(crate) fn have_namespace(&self, name: &str) -> Result<(), ProviderError> {
        self.namespace(name).map(drop).map_err(|_| {
            let reason = format!("`{name}` does not exist; create it first");
            ProviderError::invalid("namespace", reason)
        })
    }

    /// That all secrets of a deployment exist.
    pub(crate) fn have_secrets(
        &self,
        namespace: &str,
        names: &[String],
    ) -> Result<(), ProviderError> {
        let missing = |name: &&String| self.secret(namespace, name).is_none();
        let Some(name) = names.iter().find(missing) else {
            return Ok(());
        };
        let reason = format!("`{name}` does not exist in namespace {namespace}; create it first");
        Err(ProviderError::invalid("secrets", reason))
    }

    pub(crate) fn create_namespace(
        &mut self,
        namespace: FunctionNamespace,
    ) -> Result<(), ProviderError> {
        if self.namespaces.contains_key(&namespace.name) {
            let taken = format!("namespace {}", namespace.name);
            return Err(ProviderError::AlreadyExists(taken));
        }
        self.namespaces.insert(namespace.name.clone(), namespace);
        Ok(())
    }

    pub(crate) fn update_namespace(
        &mut self,
        namespace: FunctionNamespace,
    ) -> Result<(), ProviderError> {
        self.namespace(&namespace.name)?;
        self.namespaces.insert(namespace.name.clone(), namespace);
        Ok(())
    }

    /// Deletes a namespace that is empty and not the default one.
    pub(crate) fn delete_namespace(
        &mut self,
        name: &str,
        default: &str,
    ) -> Result<(), ProviderError> {
        self.namespace(name)?;
        if name == default {
            let reason = format!("namespace {name} is the default one and stays");
            return Err(ProviderError::InUse(reason));
        }
        let functions = self.functions_in(name).count();
        let secrets = self.secrets.get(name).map_or(0, |secrets| secrets.len());
        if functions + secrets > 0 {
            let reason =
                format!("namespace {name} still has {functions} functions and {secrets} secrets");
            return Err(ProviderError::InUse(reason));
        }
        self.namespaces.remove(name);
        self.secrets.remove(name);
        Ok(())
    }

    pub(crate) fn create_secret(
        &mut self,
        namespace: String,
        secret: Secret,
    ) -> Result<(), ProviderError> {
        let value = secret_bytes(&secret)?;
        self.have_namespace(&namespace)?;
        let secrets = self.secrets.entry(namespace).or_default();
        if secrets.contains_key(&secret.name) {
            let taken = format!("secret {}", secret.name);
            return Err(ProviderError::AlreadyExists(taken));
        }
        secrets.insert(secret.name, value);
        Ok(())
    }

    pub(crate) fn update_secret(
        &mut self,
        namespace: String,
        secret: Secret,
    ) -> Result<(), ProviderError> {
        let value = secret_bytes(&secret)?;
        let secrets = self.secrets.get_mut(&namespace);
        let name = secret.name;
        match secrets.and_then(|secrets| secrets.get_mut(&name)) {
            Some(known) => *known = value,
            None => return Err(ProviderError::SecretNotFound { name, namespace }),
        }
        Ok(())
    }

    /// Forgets a secret that no function uses.
    pub(crate) fn delete_secret(
        &mut self,
        namespace: String,
        name: String,
    ) -> Result<(), ProviderError> {
        if self.secret(&namespace, &name).is_none() {
            return Err(ProviderError::SecretNotFound { name, namespace });
        }
        let uses =
            |(_, record): &(&str, &FunctionRecord)| record.deployment.secrets.contains(&name);
        if let Some((function, _)) = self.functions_in(&namespace).find(uses) {
            let reason = format!("secret {name} is used by function {function}");
            return Err(ProviderError::InUse(reason));
        }
        if let Some(secrets) = self.secrets.get_mut(&namespace) {
            secrets.remove(&name);
        }
        Ok(())
    }

    /// The functions of a namespace by full name.
    fn functions_in(&self, namespace: &str) -> impl Iterator<Item = (&str, &FunctionRecord)> {
        let suffix = format!(".{namespace}");
        let functions = self.functions.iter();
        let named = functions.map(|(name, record)| (name.as_str(), record));
        named.filter(move |(name, _)| name.ends_with(&suffix))
    }
}

fn secret_bytes(secret: &Secret) -> Result<SecretValue, ProviderError> {
    let bytes = secret.bytes().map(SecretValue);
    bytes.map_err(|reason| ProviderError::invalid("rawValue", reason))
}
