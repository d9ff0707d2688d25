use super::{Ending, Fault, Preauths, RequestedTime, Wait};
use crate::model::{InvoiceId, Tenant, TokenAmount};

impl Preauths {
    /// Settles now, or, with a time, schedules the settlement (an earlier schedule is replaced).
    pub async fn settle(
        &self,
        tenant: &Tenant,
        invoice: &InvoiceId,
        amount: TokenAmount,
        settle_at: RequestedTime,
        wait: Wait,
    ) -> Result<Ending, Fault> {
        let _ = (tenant, invoice, amount, settle_at, wait);
        todo!()
    }

    /// Withdraws a scheduled settlement.
    pub async fn withdraw_settlement(&self, tenant: &Tenant, invoice: &InvoiceId) -> Result<Ending, Fault> {
        let _ = (tenant, invoice);
        todo!()
    }
}
