//! The accounts as they are shown: one line in JSON, and the same in CSV.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::{Sum, sum_in_tokens};
use crate::preauth::ReportLine;

/// An amount, exactly.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Total {
    /// How often.
    pub count: u64,
    /// In whole tokens.
    #[schema(examples("150.75"))]
    pub amount: String,
    /// In base units of the token.
    #[schema(examples("150750000"))]
    pub base_units: String,
}

/// What happened on a day to the holds of one token and receiver, or to one of them.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountsLine {
    /// In UTC, by the time of the blocks.
    #[schema(examples("2026-03-25"), format = "date")]
    pub day: String,
    pub tenant_id: String,
    #[schema(examples("0x9f8f72aa9304c8b593d555f12ef6589cc3a579a2"))]
    pub contract_address: String,
    pub receiver: String,
    /// Only with `by=invoice`; else null.
    #[schema(required)]
    pub invoice_id: Option<String>,
    pub decimals: u8,
    /// Locked, by the amounts that were authorized.
    pub authorized: Total,
    /// The same, by what was really locked: with the room for tips.
    pub held: Total,
    /// Paid to the receiver, tips included.
    pub settled: Total,
    /// The part of that beyond the authorized amounts.
    pub tipped: Total,
    /// Everything that went back to senders: the three that follow.
    pub released: Total,
    /// What settlements left over.
    pub remainder: Total,
    /// Holds that were cancelled.
    pub cancelled: Total,
    /// Holds that expired.
    pub expired: Total,
    /// The part of `released` that the token refused to send on that day.
    pub deferred: Total,
    /// The part of `deferred` that still waits for its sender.
    pub claimable: Total,
    /// Calls of mined transactions, failed ones included.
    pub calls: u64,
    /// What they cost, in wei: a transaction's fee in equal parts for its calls.
    #[schema(examples("1520000000000"))]
    pub gas_cost_wei: String,
}

impl From<&ReportLine> for AccountsLine {
    fn from(line: &ReportLine) -> Self {
        let total = |sum: Sum| Total {
            count: sum.count,
            amount: sum_in_tokens(sum.units, line.decimals),
            base_units: sum.units.to_string(),
        };
        let tally = &line.tally;
        Self {
            day: line.day.to_string(),
            tenant_id: line.tenant.to_string(),
            contract_address: line.token.address().to_checksum(None),
            receiver: line.receiver.address().to_checksum(None),
            invoice_id: line.invoice.as_ref().map(ToString::to_string),
            decimals: line.decimals,
            authorized: total(tally.authorized),
            held: total(tally.held),
            settled: total(tally.settled),
            tipped: total(tally.tipped),
            released: total(tally.released()),
            remainder: total(tally.remainder),
            cancelled: total(tally.cancelled),
            expired: total(tally.expired),
            deferred: total(tally.deferred),
            claimable: total(tally.claimable),
            calls: tally.fees.count,
            gas_cost_wei: tally.fees.units.to_string(),
        }
    }
}

impl AccountsLine {
    /// The totals by their names, in the order of the columns.
    fn totals(&self) -> [(&'static str, &Total); 10] {
        [
            ("authorized", &self.authorized),
            ("held", &self.held),
            ("settled", &self.settled),
            ("tipped", &self.tipped),
            ("released", &self.released),
            ("remainder", &self.remainder),
            ("cancelled", &self.cancelled),
            ("expired", &self.expired),
            ("deferred", &self.deferred),
            ("claimable", &self.claimable),
        ]
    }

    /// The line's cells under their headings.
    fn cells(&self) -> Vec<(String, String)> {
        let head = [
            ("day", self.day.clone()),
            ("tenantId", self.tenant_id.clone()),
            ("contractAddress", self.contract_address.clone()),
            ("receiver", self.receiver.clone()),
            ("invoiceId", self.invoice_id.clone().unwrap_or_default()),
            ("decimals", self.decimals.to_string()),
        ];
        let mut cells: Vec<_> = head.map(|(name, cell)| (name.to_owned(), cell)).into();
        for (name, total) in self.totals() {
            cells.push((format!("{name}Count"), total.count.to_string()));
            cells.push((format!("{name}Amount"), total.amount.clone()));
            cells.push((format!("{name}BaseUnits"), total.base_units.clone()));
        }
        cells.push(("calls".into(), self.calls.to_string()));
        cells.push(("gasCostWei".into(), self.gas_cost_wei.clone()));
        cells
    }
}

/// The first row of every CSV.
#[must_use]
pub fn accounts_headings() -> String {
    let empty = Total { count: 0, amount: String::new(), base_units: String::new() };
    let line = AccountsLine {
        day: String::new(),
        tenant_id: String::new(),
        contract_address: String::new(),
        receiver: String::new(),
        invoice_id: None,
        decimals: 0,
        authorized: empty.clone(),
        held: empty.clone(),
        settled: empty.clone(),
        tipped: empty.clone(),
        released: empty.clone(),
        remainder: empty.clone(),
        cancelled: empty.clone(),
        expired: empty.clone(),
        deferred: empty.clone(),
        claimable: empty,
        calls: 0,
        gas_cost_wei: String::new(),
    };
    row(line.cells().into_iter().map(|(name, _)| name))
}

/// Rows of CSV by RFC 4180, one for each line.
#[must_use]
pub fn accounts_rows(lines: &[ReportLine]) -> String {
    lines.iter().map(|line| row(AccountsLine::from(line).cells().into_iter().map(|(_, cell)| cell))).collect()
}

fn row(cells: impl Iterator<Item = String>) -> String {
    let mut row = cells.map(quoted).collect::<Vec<_>>().join(",");
    row.push_str("\r\n");
    row
}

/// An invoice id may hold anything. What a spreadsheet would take for a formula stays text: a merchant's customers may have
/// chosen it.
fn quoted(mut cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        cell.insert(0, '\'');
    }
    if cell.contains(['"', ',', '\r', '\n']) {
        return format!("\"{}\"", cell.replace('"', "\"\""));
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let cells = ["plain", "a,b", "say \"so\"", "=1+1"].map(str::to_owned).into_iter();
        assert_eq!(row(cells), "plain,\"a,b\",\"say \"\"so\"\"\",'=1+1\r\n");
    }

    #[test]
    fn every_column_has_a_heading_of_its_own() {
        let headings = accounts_headings();
        let names: std::collections::BTreeSet<_> = headings.trim_end().split(',').collect();
        assert_eq!(names.len(), 38);
        assert!(headings.starts_with("day,tenantId,") && headings.ends_with(",calls,gasCostWei\r\n"));
    }
}
