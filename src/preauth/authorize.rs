use super::{Ending, Fault, NewAuthorization, Preauths, Wait};
use crate::model::Tenant;

impl Preauths {
    pub async fn authorize(
        &self,
        tenant: &Tenant,
        creation: NewAuthorization,
        wait: Wait,
    ) -> Result<Ending, Fault> {
        let _ = (tenant, creation, wait);
        todo!()
    }
}
