//! Name and oid look-ups over the facts of one session, used by casts, catalog functions and the rows themselves.

use std::collections::HashMap;

use super::facts::{CatalogFacts, Privilege, RelationFact, RelationKind};
use super::oids::{
    CLASS_AUTHID, CLASS_DATABASE, CLASS_NAMESPACE, CLASS_PROC, CLASS_RELATION, INFORMATION_SCHEMA,
    OWNER, OidSource, PG_CATALOG, PG_TOAST, PUBLIC,
};
use super::procedures::{Procedure, builtin_procedures};
use super::static_data::{SYSTEM_RELATIONS, StaticTable, SystemRelation, TABLES};

/// What a relation's oid stands for.
#[derive(Debug, Clone, Copy)]
pub(super) enum RelationSource {
    /// Index into `facts.relations`.
    Fact(usize),
    /// A relation of `pg_catalog` or `information_schema`.
    System(&'static SystemRelation),
    /// Index into `Directory::indexes`.
    Index(usize),
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
        directory.procedures =
            super::procedures::own_procedures(&directory.facts, &directory.schemas, &mut oids);
        directory.add_descriptions();
        for (position, entry) in directory.relations.iter().enumerate() {
            directory.by_oid.insert(entry.oid, position);
            directory
                .by_name
                .insert((entry.schema.clone(), entry.name.clone()), position);
        }
        directory
    }

    fn add_schemas(&mut self, oids: &mut OidSource) {
        let mut names: Vec<&str> = self
            .facts
            .schemas
            .iter()
            .map(|schema| schema.name.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            if !self.schemas.iter().any(|(_, known)| known == name) {
                let oid = if name == "public" {
                    PUBLIC
                } else {
                    oids.assign("schema", "", name)
                };
                self.schemas.push((oid, name.to_owned()));
            }
        }
    }

    fn add_roles(&mut self, oids: &mut OidSource) {
        let mut names: Vec<&str> = self
            .facts
            .roles
            .iter()
            .map(|role| role.name.as_str())
            .collect();
        names.push(&self.facts.current_user);
        names.sort_unstable();
        names.dedup();
        for name in names {
            if !self.roles.iter().any(|(_, known)| known == name) {
                self.roles
                    .push((oids.assign("role", "", name), name.to_owned()));
            }
        }
    }

    fn add_relations(&mut self, oids: &mut OidSource) {
        let mut order: Vec<usize> = (0..self.facts.relations.len()).collect();
        order.sort_by(|left, right| {
            qualified(&self.facts.relations[*left]).cmp(&qualified(&self.facts.relations[*right]))
        });
        for position in order {
            let fact = &self.facts.relations[position];
            let oid = oids.assign("relation", &fact.schema, &fact.name);
            self.relation_oids[position] = oid;
            self.relations.push(RelationEntry {
                oid,
                schema: fact.schema.clone(),
                name: fact.name.clone(),
                source: RelationSource::Fact(position),
            });
        }
        self.relations
            .extend(SYSTEM_RELATIONS.iter().map(|relation| RelationEntry {
                oid: relation.oid,
                schema: relation.schema.to_owned(),
                name: relation.name.to_owned(),
                source: RelationSource::System(relation),
            }));
    }

    fn add_keys(&mut self, oids: &mut OidSource) {
        for position in self.sorted_tables() {
            let fact = &self.facts.relations[position];
            let mut keys: Vec<(String, bool, Vec<i16>)> = Vec::new();
            if let Some(columns) = column_numbers(fact, &fact.primary_key) {
                keys.push((format!("{}_pkey", fact.name), true, columns));
            }
            for unique in &fact.unique {
                if let Some(columns) = column_numbers(fact, unique) {
                    keys.push((
                        format!("{}_{}_key", fact.name, unique.join("_")),
                        false,
                        columns,
                    ));
                }
            }
            for (name, is_primary, columns) in keys {
                let schema = &self.facts.relations[position].schema;
                let index = oids.assign("relation", schema, &name);
                self.relations.push(RelationEntry {
                    oid: index,
                    schema: schema.clone(),
                    name: name.clone(),
                    source: RelationSource::Index(self.indexes.len()),
                });
                self.constraints.push(ConstraintEntry {
                    oid: oids.assign("constraint", schema, &name),
                    name: name.clone(),
                    kind: if is_primary {
                        ConstraintKind::Primary
                    } else {
                        ConstraintKind::Unique
                    },
                    relation: position,
                    columns: columns.clone(),
                    index,
                    referenced: None,
                });
                self.indexes.push(IndexEntry {
                    oid: index,
                    name,
                    relation: position,
                    columns,
                    is_primary,
                });
            }
        }
    }

    fn add_foreign_keys(&mut self, oids: &mut OidSource) {
        for position in self.sorted_tables() {
            let fact = &self.facts.relations[position];
            for key in &fact.foreign_keys {
                let target = self
                    .facts
                    .relations
                    .iter()
                    .position(|other| other.schema == key.schema && other.name == key.relation);
                let Some(target) = target else { continue };
                let Some(columns) = column_numbers(fact, &key.columns) else {
                    continue;
                };
                let Some(referenced) =
                    column_numbers(&self.facts.relations[target], &key.referenced)
                else {
                    continue;
                };
                let index = self
                    .indexes
                    .iter()
                    .find(|index| index.relation == target && index.columns == referenced);
                let name = format!("{}_{}_fkey", fact.name, key.columns.join("_"));
                self.constraints.push(ConstraintEntry {
                    oid: oids.assign("constraint", &fact.schema, &name),
                    name,
                    kind: ConstraintKind::Foreign,
                    relation: position,
                    columns,
                    index: index.map_or(0, |index| index.oid),
                    referenced: Some((target, referenced)),
                });
            }
        }
    }

    fn sorted_tables(&self) -> Vec<usize> {
        let mut tables: Vec<usize> = (0..self.facts.relations.len())
            .filter(|at| self.facts.relations[*at].kind == RelationKind::Table)
            .collect();
        tables.sort_by(|left, right| {
            qualified(&self.facts.relations[*left]).cmp(&qualified(&self.facts.relations[*right]))
        });
        tables
    }

    fn add_descriptions(&mut self) {
        let mut found: Vec<(DescriptionKey, String)> = Vec::new();
        if let Some((_, text)) = TABLES.iter().find(|(name, _)| *name == "pg_description") {
            let table = StaticTable::parse(text);
            for row in table.rows() {
                let cells: Vec<_> = row.cells().collect();
                let number = |at: usize| {
                    cells
                        .get(at)
                        .and_then(|cell| cell.as_deref()?.parse::<u32>().ok())
                        .unwrap_or(0)
                };
                if let Some(Some(text)) = cells.get(3) {
                    found.push(((number(1), number(0), 0), text.to_string()));
                }
            }
        }
        let facts = &self.facts;
        found.extend(
            facts
                .comment
                .iter()
                .map(|text| ((CLASS_DATABASE, self.database_oid, 0), text.clone())),
        );
        for (position, relation) in facts.relations.iter().enumerate() {
            let oid = self.relation_oids[position];
            found.extend(
                relation
                    .comment
                    .iter()
                    .map(|text| ((CLASS_RELATION, oid, 0), text.clone())),
            );
            for (number, column) in (1..).zip(&relation.columns) {
                found.extend(
                    column
                        .comment
                        .iter()
                        .map(|text| ((CLASS_RELATION, oid, number), text.clone())),
                );
            }
        }
        for schema in &facts.schemas {
            let oid = self.schema_oid(&schema.name).unwrap_or(0);
            found.extend(
                schema
                    .comment
                    .iter()
                    .map(|text| ((CLASS_NAMESPACE, oid, 0), text.clone())),
            );
        }
        for role in &facts.roles {
            let oid = self.role_oid(&role.name).unwrap_or(0);
            found.extend(
                role.comment
                    .iter()
                    .map(|text| ((CLASS_AUTHID, oid, 0), text.clone())),
            );
        }
        for procedure in &self.procedures {
            found.extend(
                procedure
                    .comment
                    .iter()
                    .map(|text| ((CLASS_PROC, procedure.oid, 0), text.clone())),
            );
        }
        self.descriptions = found.into_iter().collect();
    }

    pub(super) fn relation(&self, oid: u32) -> Option<&RelationEntry> {
        self.by_oid
            .get(&oid)
            .map(|position| &self.relations[*position])
    }

    /// The relation a possibly qualified name means on a search path.
    pub(super) fn find_relation(&self, name: &[String], path: &[String]) -> Option<&RelationEntry> {
        let find = |schema: &str, name: &str| {
            self.by_name
                .get(&(schema.to_owned(), name.to_owned()))
                .map(|position| &self.relations[*position])
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
            RelationSource::System(_) | RelationSource::Index(_) => None,
        }
    }

    pub(super) fn schema_oid(&self, name: &str) -> Option<u32> {
        self.schemas
            .iter()
            .find(|(_, known)| known == name)
            .map(|(oid, _)| *oid)
    }

    pub(super) fn schema_name(&self, oid: u32) -> Option<&str> {
        self.schemas
            .iter()
            .find(|(known, _)| *known == oid)
            .map(|(_, name)| name.as_str())
    }

    pub(super) fn role_oid(&self, name: &str) -> Option<u32> {
        self.roles
            .iter()
            .find(|(_, known)| known == name)
            .map(|(oid, _)| *oid)
    }

    pub(super) fn role_name(&self, oid: u32) -> Option<&str> {
        self.roles
            .iter()
            .find(|(known, _)| *known == oid)
            .map(|(_, name)| name.as_str())
    }

    /// A function by oid, built in or own.
    pub(super) fn procedure(&self, oid: u32) -> Option<&Procedure> {
        builtin_procedures().get(&oid).or_else(|| {
            self.procedures
                .iter()
                .find(|procedure| procedure.oid == oid)
        })
    }

    /// What the session may do with a relation; `None` when there is no such relation.
    pub(super) fn privileges(&self, oid: u32) -> Option<&[Privilege]> {
        match self.relation(oid)?.source {
            RelationSource::Fact(position) => Some(&self.facts.relations[position].privileges),
            RelationSource::System(_) => Some(&[Privilege::Select]),
            RelationSource::Index(_) => Some(&[]),
        }
    }

    /// Names of all roles the current user is, itself first, then those it is a member of.
    pub(super) fn enabled_roles(&self) -> Vec<String> {
        let mut enabled = vec![self.facts.current_user.clone()];
        let mut next = 0;
        while let Some(name) = enabled.get(next).cloned() {
            next += 1;
            for role in self.facts.roles.iter().filter(|role| role.name == name) {
                let added: Vec<String> = role
                    .member_of
                    .iter()
                    .filter(|other| !enabled.contains(other))
                    .cloned()
                    .collect();
                enabled.extend(added);
            }
        }
        enabled
    }
}

fn qualified(fact: &RelationFact) -> (&str, &str) {
    (&fact.schema, &fact.name)
}

/// Numbers of columns by name; `None` when there are none or one is not visible.
fn column_numbers(fact: &RelationFact, names: &[String]) -> Option<Vec<i16>> {
    if names.is_empty() {
        return None;
    }
    let number = |name: &String| {
        let position = fact
            .columns
            .iter()
            .position(|column| column.name == *name)?;
        i16::try_from(position + 1).ok()
    };
    names.iter().map(number).collect()
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
            let oid = row
                .get("oid")
                .and_then(|cell| cell.parse().ok())
                .unwrap_or(0);
            roles.push((oid, row.get("rolname").unwrap_or_default().to_owned()));
        }
    }
    roles
}
