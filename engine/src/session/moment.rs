//! What one statement reads: one snapshot, the tree and the scope as known there, and the
//! transaction's own changes.

use std::sync::{Arc, PoisonError, RwLock};

use crate::catalog::SnapshotId;
use crate::error::Error;
use crate::reference::Overlay;
use crate::security::policy::{Action, Reach, allowed};
use crate::security::{Principal, Scope, SessionError, Tree};
use crate::warehouse::Core;

/// The state that a statement sees.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    /// Of all tables, usage and reference rows alike.
    pub(crate) snapshot: SnapshotId,
    /// The tree at the snapshot.
    pub(crate) tree: Arc<Tree>,
    /// What the principal sees in it.
    pub(crate) scope: Arc<Scope>,
    /// What its open transaction has changed.
    pub(crate) overlay: Arc<Overlay>,
}

impl Moment {
    /// Whether the caller sees a seller's cards and what they sell: it is the seller, or stands above it now and the seller does not
    /// keep its sales to itself. `now` is an instant, RFC 3339 UTC text.
    pub(super) fn shows_sales_of(&self, seller: &str, now: &str) -> bool {
        let own = self.scope.node_id.as_str();
        seller == own || (self.tree.is_within_now(seller, own, now) && self.tree.discloses(seller))
    }
}

/// Before any snapshot.
const NONE: SnapshotId = -1;

/// What the relations of one session share.
pub(crate) struct Shared {
    pub(crate) core: Arc<Core>,
    pub(crate) principal: Principal,
    /// For the warehouse's own sessions: the one snapshot that they read. Such a session is
    /// nobody's login, so nothing is withheld from it.
    pub(crate) fixed: Option<SnapshotId>,
    moment: RwLock<Arc<Moment>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("login", &self.principal.login).finish_non_exhaustive()
    }
}

impl Shared {
    /// Starts before any snapshot: nothing is seen until a statement sets the moment.
    pub(crate) fn new(core: Arc<Core>, principal: Principal, fixed: Option<SnapshotId>) -> Self {
        let tree = Arc::new(Tree::default());
        let scope = Arc::new(Scope::of(&tree, &principal.node_id));
        let moment = Moment { snapshot: NONE, tree, scope, overlay: Arc::default() };
        Self { core, principal, fixed, moment: RwLock::new(Arc::new(moment)) }
    }

    /// Whether the principal may do that.
    ///
    /// # Errors
    /// `42501` names what it may not.
    pub(crate) fn may(&self, action: Action, what: &str) -> Result<(), SessionError> {
        let (roles, reach) = allowed(action);
        let reached = match reach {
            Reach::Any | Reach::Seller => true,
            Reach::Root => self.moment().scope.is_root,
        };
        if reached && roles.has(self.principal.role) { Ok(()) } else { Err(SessionError::denied(what)) }
    }

    /// What the statement being planned sees.
    pub(crate) fn moment(&self) -> Arc<Moment> {
        Arc::clone(&self.moment.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets what the next statement sees. The moment stays the same one as long as nothing of it changes.
    pub(crate) fn set_moment(&self, snapshot: SnapshotId, overlay: Arc<Overlay>) -> Result<(), Error> {
        let present = self.moment();
        if present.snapshot == snapshot && Arc::ptr_eq(&present.overlay, &overlay) {
            return Ok(());
        }
        let tree = self.core.tree(snapshot)?;
        let scope = Arc::new(Scope::of(&tree, &self.principal.node_id));
        let moment = Arc::new(Moment { snapshot, tree, scope, overlay });
        *self.moment.write().unwrap_or_else(PoisonError::into_inner) = moment;
        Ok(())
    }
}
