//! Whose turn it is: start-time fair queueing over the tenants that wait.
//!
//! Each tenant has a virtual time, which a start moves on by its cost over its weight; the lowest goes next. The house's
//! own virtual time is that of the last start.
//!
//! The rules: who comes back from idle starts at the house's time (what it did not use is no credit), and who leaves
//! while ahead of it is remembered until the house has caught up (leaving is no way to lose a debt). A tenant that
//! neither waits nor owes is forgotten.
//!
//! A more urgent class lends its tenant a little time: two calls a class. Without it, ten tenants that each ask for
//! their whole share in urgent calls lose one in twelve of them to each other's ordinary ones, for want of a common
//! buffer; with two calls one in 25, and more than two bring no more (arena, 10 ×). What is lent is owed, so a tenant
//! that calls everything urgent is six calls ahead, once.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use super::class::Class;
use super::lane::Lane;
use crate::slab::{Key, Slab};

/// Room for names that is kept when nobody is left.
const NAMES_KEPT: usize = 128;
/// What a class lends its tenant before the next lower one, in calls.
const LENT_CALLS: u64 = 2;
/// The weight of a new call in what calls usually cost: one part in so many.
const USUAL_PARTS: u64 = 16;

#[derive(Debug)]
pub(super) struct Tenants<N> {
    slab: Slab<Tenant<N>>,
    names: HashMap<N, Key>,
    /// Those who wait, by virtual time less what is lent.
    turns: BTreeSet<(u64, Key)>,
    /// Those who wait, by how many calls they have waiting.
    lengths: BTreeSet<(usize, Key)>,
    /// Those who do not wait but are ahead, by virtual time.
    owing: BTreeSet<(u64, Key)>,
    /// The weights of those who wait.
    weights: u64,
    virtual_ns: u64,
    /// What a call costs, more or less.
    usual_ns: u64,
}

#[derive(Debug)]
pub(super) struct Tenant<N> {
    name: N,
    weight: u32,
    virtual_ns: u64,
    /// Where it stands among the turns.
    turn_ns: u64,
    len: usize,
    pub(super) lanes: [Lane; 4],
}

impl<N: Clone + Eq + Hash> Tenants<N> {
    pub(super) fn new() -> Self {
        Self {
            slab: Slab::new(),
            names: HashMap::new(),
            turns: BTreeSet::new(),
            lengths: BTreeSet::new(),
            owing: BTreeSet::new(),
            weights: 0,
            virtual_ns: 0,
            usual_ns: 0,
        }
    }

    /// How many are remembered, waiting or owing.
    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(super) fn find(&self, name: &N) -> Option<&Tenant<N>> {
        self.slab.get(*self.names.get(name)?)
    }

    /// The tenant whose turn it is.
    pub(super) fn next(&self) -> Option<&Tenant<N>> {
        self.slab.get(self.turns.first()?.1)
    }

    /// The tenant with the most calls waiting.
    pub(super) fn longest(&self) -> Option<&Tenant<N>> {
        self.slab.get(self.lengths.last()?.1)
    }

    /// How many calls of other tenants go before the call of this one that has `ahead` of its own before it.
    pub(super) fn others_before(&self, name: &N, weight: u32, ahead: usize, waiting: usize) -> u64 {
        let (own_len, own_weight) = self.find(name).map_or((0, 0), |tenant| (tenant.len, tenant.active_weight()));
        let others = self.weights.saturating_sub(own_weight);
        let rounds = (ahead as u64).saturating_add(1).saturating_mul(others) / u64::from(weight.max(1));
        rounds.min(waiting.saturating_sub(own_len) as u64)
    }

    /// The tenant of that name, known from now on.
    pub(super) fn known(&mut self, name: &N) -> Key {
        if let Some(key) = self.names.get(name) {
            return *key;
        }
        let lanes = <[Lane; 4]>::default();
        let virtual_ns = self.virtual_ns;
        let key = self.slab.insert(Tenant { name: name.clone(), weight: 1, virtual_ns, turn_ns: 0, len: 0, lanes });
        self.names.insert(name.clone(), key);
        key
    }

    /// One more call of this tenant waits: `push` puts it into its lane.
    pub(super) fn joins(&mut self, key: Key, weight: u32, class: Class, push: impl FnOnce(&mut Lane)) {
        let virtual_ns = self.virtual_ns;
        self.relist(key, |tenant| {
            tenant.len = tenant.len.saturating_add(1);
            tenant.weight = weight.max(1);
            tenant.virtual_ns = tenant.virtual_ns.max(virtual_ns);
            tenant.lanes.get_mut(class.rank()).map(push);
        });
    }

    /// One call less of this tenant waits: `unlink` takes it out of its lane. It was started if it cost something.
    pub(super) fn leaves(&mut self, key: Key, class: Class, cost_ns: Option<u64>, unlink: impl FnOnce(&mut Lane)) {
        if let Some(cost_ns) = cost_ns {
            self.virtual_ns = self.virtual_ns.max(self.slab.get(key).map_or(0, |tenant| tenant.virtual_ns));
            let less_ns = self.usual_ns / USUAL_PARTS;
            self.usual_ns = self.usual_ns.saturating_sub(less_ns).saturating_add(cost_ns / USUAL_PARTS);
        }
        self.relist(key, |tenant| {
            tenant.len = tenant.len.saturating_sub(1);
            if let Some(cost_ns) = cost_ns {
                let moved_ns = (cost_ns / u64::from(tenant.weight)).max(1);
                tenant.virtual_ns = tenant.virtual_ns.saturating_add(moved_ns);
            }
            tenant.lanes.get_mut(class.rank()).map(unlink);
        });
        self.forget();
    }

    /// Takes the tenant off the lists it stands on, changes it, and puts it on those where it then belongs.
    fn relist(&mut self, key: Key, change: impl FnOnce(&mut Tenant<N>)) {
        let lent_ns = self.usual_ns.saturating_mul(LENT_CALLS);
        let Some(tenant) = self.slab.get_mut(key) else { return };
        if tenant.len > 0 {
            self.turns.remove(&(tenant.turn_ns, key));
            self.lengths.remove(&(tenant.len, key));
            self.weights = self.weights.saturating_sub(tenant.active_weight());
        } else {
            self.owing.remove(&(tenant.virtual_ns, key));
        }
        change(tenant);
        if tenant.len > 0 {
            tenant.turn_ns = tenant.virtual_ns.saturating_add(lent_ns.saturating_mul(tenant.best_class()));
            self.turns.insert((tenant.turn_ns, key));
            self.lengths.insert((tenant.len, key));
            self.weights = self.weights.saturating_add(tenant.active_weight());
        } else {
            self.owing.insert((tenant.virtual_ns, key));
        }
    }

    /// Those who do not wait, and whose debt is paid or owed to nobody, are no longer known.
    fn forget(&mut self) {
        let nobody_waits = self.turns.is_empty();
        while let Some(&(virtual_ns, key)) = self.owing.first()
            && (nobody_waits || virtual_ns <= self.virtual_ns)
        {
            self.owing.pop_first();
            if let Some(tenant) = self.slab.remove(key) {
                self.names.remove(&tenant.name);
            }
        }
        if self.names.is_empty() && self.names.capacity() > NAMES_KEPT {
            self.names = HashMap::new();
        }
    }
}

impl<N> Tenant<N> {
    /// Calls of this tenant that wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is(&self, name: &N) -> bool
    where
        N: Eq,
    {
        self.name == *name
    }

    /// Its calls that would be started before a new one of this class.
    pub(super) fn ahead_of(&self, class: Class, standing: Option<u64>) -> usize {
        let better: usize = self.lanes.iter().take(class.rank()).map(Lane::len).sum();
        let fifo = self.lanes.get(class.rank()).filter(|lane| !lane.newest_first(standing));
        let same = fifo.map_or(0, Lane::len);
        better.saturating_add(same)
    }

    /// The rank of the most urgent class that waits.
    fn best_class(&self) -> u64 {
        self.lanes.iter().take_while(|lane| lane.is_empty()).count() as u64
    }

    fn active_weight(&self) -> u64 {
        if self.len > 0 { u64::from(self.weight) } else { 0 }
    }
}
