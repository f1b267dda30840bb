//! One transaction: all of it is in force, or none of it.

use super::{
    Chain, Family, Hook, Rule, Table,
    expression::{write_action, write_match},
    message::{Header, Messages},
    socket::{self, NftError},
};

const SUBSYSTEM: u16 = libc::NFNL_SUBSYS_NFTABLES as u16;
/// `NFTA_TABLE_NAME`, also the table's name in chain and rule messages.
const TABLE: u16 = 1;
const TABLE_FLAGS: u16 = 2;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;

/// Changes to nf_tables that take effect together.
#[derive(Debug)]
pub struct Transaction {
    messages: Messages,
    steps: Vec<String>,
}

impl Default for Transaction {
    fn default() -> Self {
        Self::new()
    }
}

impl Transaction {
    /// Nothing to do yet.
    pub fn new() -> Self {
        let mut messages = Messages::default();
        messages.begin(edge(libc::NFNL_MSG_BATCH_BEGIN));
        messages.finish();
        Self { messages, steps: vec!["begin a transaction".to_owned()] }
    }

    /// The table of this name and family shall hold exactly this, whatever it held before.
    ///
    /// # Errors
    /// [`NftError::WrongFamily`] and [`NftError::InterfaceName`] for rules that cannot be said to the kernel.
    pub fn replace(mut self, table: &Table) -> Result<Self, NftError> {
        self = self.delete(table.family, &table.name);
        self.add_table(table.family, &table.name);
        for chain in &table.chains {
            self.add_chain(table, chain);
        }
        for chain in &table.chains {
            for rule in &chain.rules {
                self.add_rule(table, chain, rule)?;
            }
        }
        Ok(self)
    }

    /// The table of this name and family shall be gone, if it is there at all.
    #[must_use]
    pub fn delete(mut self, family: Family, table: &str) -> Self {
        self.add_table(family, table); // so that there is one to delete
        let out = self.begin(libc::NFT_MSG_DELTABLE, 0, family, format!("delete table {table}"));
        out.string(TABLE, table);
        out.finish();
        self
    }

    /// Puts it in force in the network namespace of the calling thread. Blocks for as long as the kernel works.
    ///
    /// # Errors
    /// What the kernel refused, in a sentence; nothing has changed then.
    pub fn commit(mut self) -> Result<(), NftError> {
        self.messages.begin(edge(libc::NFNL_MSG_BATCH_END));
        self.messages.finish();
        socket::send(self.messages.as_slice(), &self.steps)
    }

    fn add_table(&mut self, family: Family, table: &str) {
        let out = self.begin(libc::NFT_MSG_NEWTABLE, libc::NLM_F_CREATE, family, format!("create table {table}"));
        out.string(TABLE, table);
        out.number(TABLE_FLAGS, 0);
        out.finish();
    }

    fn add_chain(&mut self, table: &Table, chain: &Chain) {
        let step = format!("create chain {} in table {}", chain.name, table.name);
        let out = self.begin(libc::NFT_MSG_NEWCHAIN, libc::NLM_F_CREATE, table.family, step);
        out.string(TABLE, &table.name);
        out.string(CHAIN_NAME, &chain.name);
        if let Some(hook) = chain.hook {
            let (kind, number, priority) = hook.place();
            out.string(CHAIN_TYPE, kind);
            out.nested(CHAIN_HOOK, |out| {
                out.number(HOOK_NUMBER, number as u32);
                out.number(HOOK_PRIORITY, priority as u32);
            });
        }
        out.finish();
    }

    fn add_rule(&mut self, table: &Table, chain: &Chain, rule: &Rule) -> Result<(), NftError> {
        let step = format!("add rule {rule:?} to chain {}", chain.name);
        let out = self.begin(libc::NFT_MSG_NEWRULE, libc::NLM_F_CREATE | libc::NLM_F_APPEND, table.family, step);
        out.string(TABLE, &table.name);
        out.string(RULE_CHAIN, &chain.name);
        out.nested(RULE_EXPRESSIONS, |out| {
            rule.matches.iter().try_for_each(|condition| write_match(out, table.family, condition))?;
            write_action(out, table.family, &rule.action)
        })?;
        out.finish();
        Ok(())
    }

    /// Starts a message that asks for an acknowledgement; its number is its place in `steps`.
    fn begin(&mut self, kind: i32, flags: i32, family: Family, step: String) -> &mut Messages {
        let kind = SUBSYSTEM << 8 | kind as u16;
        self.messages.begin(Header { kind, flags: flags | libc::NLM_F_ACK, family: family.number(), resource: 0 });
        self.steps.push(step);
        &mut self.messages
    }
}

/// What stands around a transaction.
fn edge(kind: i32) -> Header {
    Header { kind: kind as u16, flags: 0, family: 0, resource: SUBSYSTEM }
}

impl Hook {
    /// The chain type, the hook's number and the usual priority there.
    fn place(self) -> (&'static str, i32, i32) {
        match self {
            Self::NatPrerouting => ("nat", libc::NF_INET_PRE_ROUTING, libc::NF_IP_PRI_NAT_DST),
            Self::NatOutput => ("nat", libc::NF_INET_LOCAL_OUT, libc::NF_IP_PRI_NAT_DST),
            Self::NatOutputLate => ("nat", libc::NF_INET_LOCAL_OUT, libc::NF_IP_PRI_NAT_DST + 10),
            Self::NatPostrouting => ("nat", libc::NF_INET_POST_ROUTING, libc::NF_IP_PRI_NAT_SRC),
            Self::FilterInput => ("filter", libc::NF_INET_LOCAL_IN, libc::NF_IP_PRI_FILTER),
            Self::FilterForward => ("filter", libc::NF_INET_FORWARD, libc::NF_IP_PRI_FILTER),
            Self::FilterOutput => ("filter", libc::NF_INET_LOCAL_OUT, libc::NF_IP_PRI_FILTER),
        }
    }
}
