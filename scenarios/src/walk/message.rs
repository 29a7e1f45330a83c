//! Verbs that pick messages out of the traffic: hold, drop, metadata_lag, fence.

use super::{Fields, Walk};
use crate::apis::{APIS, key_of};
use crate::diagnostic::Diagnostic;
use crate::model::{Message, MessageFilter, Target, Verb};
use crate::spec::{self, TableSpec};
use crate::syntax::tree::{Node, Val};

impl Walk<'_> {
    pub(super) fn hold_messages(&mut self, node: &Node) -> Option<Verb> {
        let fields = self.open_node(&spec::HOLD, node)?;
        let (what, bind) = self.message_filter(&fields);
        fields.close();
        Some(Verb::Hold { what: what?, bind })
    }

    pub(super) fn drop_messages(&mut self, node: &Node) -> Option<Verb> {
        let fields = self.open_node(&spec::DROP, node)?;
        let (what, bind) = self.message_filter(&fields);
        fields.close();
        Some(Verb::Drop { what: what?, bind })
    }

    fn message_filter(&mut self, fields: &Fields<'_>) -> (Option<MessageFilter>, Option<String>) {
        let message = fields.node("message").and_then(|node| self.message(node));
        let from = fields.node("from").map(|node| self.target(node));
        let to = fields.node("to").map(|node| self.target(node));
        let nth = fields.node("nth").and_then(|node| self.small_int(node, 1, u32::MAX));
        let bind = fields.node("as").and_then(|node| self.name(node));
        if let (Some(entry), None, None) = (fields.get("as"), fields.get("from"), fields.get("to")) {
            let finding = Diagnostic::error("scn::stray_key", "`as` goes with `from` or `to`");
            self.report(finding.at(entry.key_span, "").help("it names the senders, or else the receivers"));
        }
        // A target that could not be read was reported: it does not mean anybody.
        let is_read = from != Some(None) && to != Some(None);
        let filter = |message| MessageFilter { message, from: from.flatten(), to: to.flatten(), nth };
        (message.filter(|_| is_read).map(filter), bind)
    }

    /// `"AlterPartition response"`.
    pub(super) fn message(&mut self, node: &Node) -> Option<Message> {
        let text = self.text(node)?;
        let words: Vec<&str> = text.split_whitespace().collect();
        let [api, kind @ ("request" | "response")] = words[..] else {
            let finding =
                Diagnostic::error("scn::bad_message", "this is a kind of message").at(node.span, "");
            let help = "write the name of a Kafka API and `request` or `response`, as in \"Fetch response\"";
            self.report(finding.help(help));
            return None;
        };
        let Some(key) = key_of(api) else {
            let known: Vec<&str> = APIS.iter().map(|(name, _)| *name).collect();
            let help = match crate::names::nearest(api, known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "APIs have their names in Kafka's protocol, such as Produce, Fetch, BrokerHeartbeat"
                    .to_owned(),
            };
            let message = format!("Kafka has no API `{api}`");
            self.report(Diagnostic::error("scn::unknown_api", message).at(node.span, "").help(help));
            return None;
        };
        Some(Message { api: api.to_owned(), key, is_response: kind == "response" })
    }

    /// `"TARGET"`, or a table with `target` and `as` and nothing else.
    pub(super) fn target_and_name(
        &mut self,
        spec: &'static TableSpec,
        node: &Node,
    ) -> Option<(Target, Option<String>)> {
        if !matches!(node.value, Val::Table(_)) {
            return self.target(node).map(|target| (target, None));
        }
        let fields = self.open_node(spec, node)?;
        let target = fields.node("target").and_then(|node| self.target(node));
        let bind = fields.node("as").and_then(|node| self.name(node));
        fields.close();
        Some((target?, bind))
    }
}
