//! Gives every object of the facts its oid and its place.

use super::super::facts::{RelationFact, RelationKind};
use super::super::oids::{
    CLASS_AUTHID, CLASS_DATABASE, CLASS_NAMESPACE, CLASS_PROC, CLASS_RELATION, OidSource, PUBLIC, RELATION,
};
use super::super::static_data::{SYSTEM_RELATIONS, StaticTable, TABLES};
use super::{ConstraintEntry, ConstraintKind, DescriptionKey, Directory, IndexEntry, RelationEntry, RelationSource};

impl Directory {
    pub(super) fn add_schemas(&mut self, oids: &mut OidSource) {
        let mut names: Vec<&str> = self.facts.schemas.iter().map(|schema| schema.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            if !self.schemas.iter().any(|(_, known)| known == name) {
                let oid = if name == "public" { PUBLIC } else { oids.assign("schema", "", name) };
                self.schemas.push((oid, name.to_owned()));
            }
        }
    }

    pub(super) fn add_roles(&mut self, oids: &mut OidSource) {
        let mut names: Vec<&str> = self.facts.roles.iter().map(|role| role.name.as_str()).collect();
        names.push(&self.facts.current_user);
        names.sort_unstable();
        names.dedup();
        for name in names {
            if !self.roles.iter().any(|(_, known)| known == name) {
                self.roles.push((oids.assign("role", "", name), name.to_owned()));
            }
        }
    }

    pub(super) fn add_relations(&mut self, oids: &mut OidSource) {
        let mut order: Vec<usize> = (0..self.facts.relations.len()).collect();
        order.sort_by(|left, right| {
            qualified(&self.facts.relations[*left]).cmp(&qualified(&self.facts.relations[*right]))
        });
        for position in order {
            let fact = &self.facts.relations[position];
            let oid = oids.assign(RELATION, &fact.schema, &fact.name);
            self.relation_oids[position] = oid;
            self.relations.push(RelationEntry {
                oid,
                schema: fact.schema.clone(),
                name: fact.name.clone(),
                source: RelationSource::Fact(position),
            });
        }
        self.relations.extend(SYSTEM_RELATIONS.iter().map(|relation| RelationEntry {
            oid: relation.oid,
            schema: relation.schema.to_owned(),
            name: relation.name.to_owned(),
            source: RelationSource::System,
        }));
    }

    pub(super) fn add_keys(&mut self, oids: &mut OidSource) {
        for position in self.sorted_tables() {
            let fact = &self.facts.relations[position];
            let mut keys: Vec<(String, bool, Vec<i16>)> = Vec::new();
            if let Some(columns) = column_numbers(fact, &fact.primary_key) {
                keys.push((format!("{}_pkey", fact.name), true, columns));
            }
            for unique in &fact.unique {
                if let Some(columns) = column_numbers(fact, unique) {
                    keys.push((format!("{}_{}_key", fact.name, unique.join("_")), false, columns));
                }
            }
            for (name, is_primary, columns) in keys {
                let schema = &self.facts.relations[position].schema;
                let index = oids.assign(RELATION, schema, &name);
                self.relations.push(RelationEntry {
                    oid: index,
                    schema: schema.clone(),
                    name: name.clone(),
                    source: RelationSource::Index,
                });
                self.constraints.push(ConstraintEntry {
                    oid: oids.assign("constraint", schema, &name),
                    name: name.clone(),
                    kind: if is_primary { ConstraintKind::Primary } else { ConstraintKind::Unique },
                    relation: position,
                    columns: columns.clone(),
                    index,
                    referenced: None,
                });
                self.indexes.push(IndexEntry { oid: index, name, relation: position, columns, is_primary });
            }
        }
    }

    pub(super) fn add_foreign_keys(&mut self, oids: &mut OidSource) {
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
                let Some(referenced) = column_numbers(&self.facts.relations[target], &key.referenced) else {
                    continue;
                };
                let index = self.indexes.iter().find(|index| index.relation == target && index.columns == referenced);
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

    pub(super) fn add_descriptions(&mut self) {
        let mut found: Vec<(DescriptionKey, String)> = Vec::new();
        if let Some((_, text)) = TABLES.iter().find(|(name, _)| *name == "pg_description") {
            let table = StaticTable::parse(text);
            for row in table.rows() {
                let cells: Vec<_> = row.cells().collect();
                let number =
                    |at: usize| cells.get(at).and_then(|cell| cell.as_deref()?.parse::<u32>().ok()).unwrap_or(0);
                if let Some(Some(text)) = cells.get(3) {
                    found.push(((number(1), number(0), 0), text.to_string()));
                }
            }
        }
        let facts = &self.facts;
        found.extend(facts.comment.iter().map(|text| ((CLASS_DATABASE, self.database_oid, 0), text.clone())));
        for (position, relation) in facts.relations.iter().enumerate() {
            let oid = self.relation_oids[position];
            found.extend(relation.comment.iter().map(|text| ((CLASS_RELATION, oid, 0), text.clone())));
            for (number, column) in (1..).zip(&relation.columns) {
                found.extend(column.comment.iter().map(|text| ((CLASS_RELATION, oid, number), text.clone())));
            }
        }
        for schema in &facts.schemas {
            let oid = self.schema_oid(&schema.name).unwrap_or(0);
            found.extend(schema.comment.iter().map(|text| ((CLASS_NAMESPACE, oid, 0), text.clone())));
        }
        for role in &facts.roles {
            let oid = self.role_oid(&role.name).unwrap_or(0);
            found.extend(role.comment.iter().map(|text| ((CLASS_AUTHID, oid, 0), text.clone())));
        }
        for procedure in &self.procedures {
            found.extend(procedure.comment.iter().map(|text| ((CLASS_PROC, procedure.oid, 0), text.clone())));
        }
        self.descriptions = found.into_iter().collect();
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
        let position = fact.columns.iter().position(|column| column.name == *name)?;
        i16::try_from(position + 1).ok()
    };
    names.iter().map(number).collect()
}
