//! Name and oid look-ups over the facts of one session, used by casts, catalog functions and the rows themselves.

mod assembly;

use std::collections::HashMap;

use super::facts::{CatalogFacts, Privilege, RelationFact};
use super::oids::{INFORMATION_SCHEMA, OWNER, OidSource, PG_CATALOG, PG_TOAST};
use super::procedures::{Procedure, builtin_procedures};
use super::static_data::{StaticTable, TABLES};

/// What a relation's oid stands for.
#[derive(Debug, Clone, Copy)]
pub(super) enum RelationSource {
    /// Index into `facts.relations`.
    Fact(usize),
    /// A relation of `pg_catalog` or `information_schema`.
    System,
    /// An index behind a key.
    Index,
}

/// A relation with its oid.
#[derive(Debug, Clone)]
pub(super) struct RelationEntry {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) source: RelationSource,
}

/// Primary key, unique or foreign key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConstraintKind {
    Primary,
    Unique,
    Foreign,
}

/// A constraint with its oid; column numbers count from 1.
#[derive(Debug, Clone)]
pub(super) struct ConstraintEntry {
    pub(super) oid: u32,
    pub(super) name: String,
    pub(super) kind: ConstraintKind,
    pub(super) relation: usize,
    pub(super) columns: Vec<i16>,
    pub(super) index: u32,
    pub(super) referenced: Option<(usize, Vec<i16>)>,
}

/// An index behind a primary key or unique constraint.
#[derive(Debug, Clone)]
pub(super) struct IndexEntry {
    pub(super) oid: u32,
    pub(super) name: String,
    pub(super) relation: usize,
    pub(super) columns: Vec<i16>,
    pub(super) is_primary: bool,
}

/// Key of a comment: catalog, object, column number.
pub(super) type DescriptionKey = (u32, u32, i32);

/// All objects of one session.
pub(super) struct Directory {
    pub(super) facts: CatalogFacts,
    pub(super) database_oid: u32,
    pub(super) relations: Vec<RelationEntry>,
    pub(super) relation_oids: Vec<u32>,
    pub(super) indexes: Vec<IndexEntry>,
    pub(super) constraints: Vec<ConstraintEntry>,
    pub(super) procedures: Vec<Procedure>,
    pub(super) schemas: Vec<(u32, String)>,
    pub(super) roles: Vec<(u32, String)>,
    pub(super) descriptions: HashMap<DescriptionKey, String>,
    by_oid: HashMap<u32, usize>,
    by_name: HashMap<(String, String), usize>,
}

impl Directory {
    pub(super) fn new(facts: CatalogFacts) -> Self {
        let mut oids = OidSource::default();
        let database_oid = oids.assign("database", "", &facts.database);
        let mut directory = Self {
            database_oid,
            relations: Vec::new(),
            relation_oids: vec![0; facts.relations.len()],
            indexes: Vec::new(),
            constraints: Vec::new(),
            procedures: Vec::new(),
            schemas: builtin_schemas(),
            roles: builtin_roles(&facts.owner),
            descriptions: HashMap::new(),
            by_oid: HashMap::new(),
            by_name: HashMap::new(),
            facts,
        };
        directory.add_schemas(&mut oids);
        directory.add_roles(&mut oids);
        directory.add_relations(&mut oids);
        directory.add_keys(&mut oids);
        directory.add_foreign_keys(&mut oids);
        directory.procedures = super::procedures::own_procedures(&directory.facts, &directory.schemas, &mut oids);
        directory.add_descriptions();
        for (position, entry) in directory.relations.iter().enumerate() {
            directory.by_oid.insert(entry.oid, position);
            directory.by_name.insert((entry.schema.clone(), entry.name.clone()), position);
        }
        directory
    }

    pub(super) fn relation(&self, oid: u32) -> Option<&RelationEntry> {
        self.by_oid.get(&oid).map(|position| &self.relations[*position])
    }

    /// The relation a possibly qualified name means on a search path.
    pub(super) fn find_relation(&self, name: &[String], path: &[String]) -> Option<&RelationEntry> {
        let find = |schema: &str, name: &str| {
            self.by_name.get(&(schema.to_owned(), name.to_owned())).map(|position| &self.relations[*position])
        };
        match name {
            [name] => path.iter().find_map(|schema| find(schema, name)),
            [schema, name] => find(schema, name),
            [database, schema, name] if *database == self.facts.database => find(schema, name),
            _ => None,
        }
    }

    pub(super) fn fact(&self, oid: u32) -> Option<&RelationFact> {
        match self.relation(oid)?.source {
            RelationSource::Fact(position) => self.facts.relations.get(position),
            RelationSource::System | RelationSource::Index => None,
        }
    }

    pub(super) fn schema_oid(&self, name: &str) -> Option<u32> {
        self.schemas.iter().find(|(_, known)| known == name).map(|(oid, _)| *oid)
    }

    pub(super) fn schema_name(&self, oid: u32) -> Option<&str> {
        self.schemas.iter().find(|(known, _)| *known == oid).map(|(_, name)| name.as_str())
    }

    pub(super) fn role_oid(&self, name: &str) -> Option<u32> {
        self.roles.iter().find(|(_, known)| known == name).map(|(oid, _)| *oid)
    }

    pub(super) fn role_name(&self, oid: u32) -> Option<&str> {
        self.roles.iter().find(|(known, _)| *known == oid).map(|(_, name)| name.as_str())
    }

    /// A function by oid, built in or own.
    pub(super) fn procedure(&self, oid: u32) -> Option<&Procedure> {
        builtin_procedures().get(&oid).or_else(|| self.procedures.iter().find(|procedure| procedure.oid == oid))
    }

    /// What the session may do with a relation; `None` when there is no such relation.
    pub(super) fn privileges(&self, oid: u32) -> Option<&[Privilege]> {
        match self.relation(oid)?.source {
            RelationSource::Fact(position) => Some(&self.facts.relations[position].privileges),
            RelationSource::System => Some(&[Privilege::Select]),
            RelationSource::Index => Some(&[]),
        }
    }

    /// Whether a role may do everything: the owner, unless the session itself is named as the owner.
    pub(super) fn is_all_powerful(&self, role: u32) -> bool {
        role == OWNER && self.facts.owner != self.facts.current_user
    }

    /// Names of all roles the current user is, itself first, then those it is a member of.
    pub(super) fn enabled_roles(&self) -> Vec<String> {
        let mut enabled = vec![self.facts.current_user.clone()];
        let mut next = 0;
        while let Some(name) = enabled.get(next).cloned() {
            next += 1;
            for role in self.facts.roles.iter().filter(|role| role.name == name) {
                let added: Vec<String> =
                    role.member_of.iter().filter(|other| !enabled.contains(other)).cloned().collect();
                enabled.extend(added);
            }
        }
        enabled
    }
}

fn builtin_schemas() -> Vec<(u32, String)> {
    vec![
        (PG_CATALOG, "pg_catalog".to_owned()),
        (PG_TOAST, "pg_toast".to_owned()),
        (INFORMATION_SCHEMA, "information_schema".to_owned()),
    ]
}

fn builtin_roles(owner: &str) -> Vec<(u32, String)> {
    let mut roles = vec![(OWNER, owner.to_owned())];
    if let Some((_, text)) = TABLES.iter().find(|(name, _)| *name == "pg_authid") {
        let table = StaticTable::parse(text);
        for row in table.rows() {
            let oid = row.get("oid").and_then(|cell| cell.parse().ok()).unwrap_or(0);
            roles.push((oid, row.get("rolname").unwrap_or_default().to_owned()));
        }
    }
    roles
}
