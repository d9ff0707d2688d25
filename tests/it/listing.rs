//! Looking for preauthorizations: filters, pages, and nobody else's.

use crate::harness::World;
use crate::harness::world::invoice;

fn invoices(answer: &crate::harness::Answer) -> Vec<String> {
    let data = answer.body["data"].as_array().expect("data");
    data.iter().map(|preauth| preauth["invoiceId"].as_str().expect("an invoiceId").to_owned()).collect()
}

#[tokio::test]
async fn a_list_is_newest_first_and_comes_in_pages() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(world.authorized(&sale, "1").await);
    }
    made.reverse();

    let sender = format!("sender={}", sale.sender.address);
    let all = world.api.list(&sender).await.is(200);
    assert_eq!(invoices(&all), made);
    assert_eq!(all.body["hasMore"], false);
    assert!(all.body["nextCursor"].is_null());

    let mut seen = Vec::new();
    let mut cursor = String::new();
    for page in 0..3 {
        let answer = world.api.list(&format!("{sender}&limit=2{cursor}")).await.is(200);
        seen.extend(invoices(&answer));
        assert_eq!(answer.body["hasMore"], page < 2);
        if page < 2 {
            cursor = format!("&cursor={}", answer.text("nextCursor"));
        }
        // A newcomer does not shift the pages.
        world.authorized(&sale, "1").await;
    }
    assert_eq!(seen, made);
}

#[tokio::test]
async fn a_list_can_be_narrowed() {
    let world = World::shared().await;
    let (one, two) = (world.sale().await, world.sale().await);
    let settled = world.authorized(&one, "3").await;
    let open = world.authorized(&one, "4").await;
    let soon = invoice("INV");
    let near = world.chain.in_seconds(600).await;
    world.create(&soon, &two).amount("5").expires_at(&near).send().await.is(201);
    world.api.settle(&settled, "2").await.is(200);

    let list = |query: String| {
        let api = world.api.clone();
        async move { invoices(&api.list(&query).await.is(200)) }
    };
    let sender = format!("sender={}", one.sender.address);
    assert_eq!(list(format!("{sender}&status=AUTHORIZED")).await, [open.as_str()]);
    assert_eq!(list(format!("{sender}&status=SETTLED")).await, [settled.as_str()]);
    assert_eq!(list(format!("receiver={}", two.receiver)).await, [soon.as_str()]);
    let before = world.chain.in_seconds(1_200).await;
    assert_eq!(list(format!("receiver={}&expiringBefore={before}", two.receiver)).await, [soon.as_str()]);
    assert!(list(format!("{sender}&expiringBefore={before}")).await.is_empty());
    assert!(list(format!("{sender}&status=EXPIRED")).await.is_empty());

    let entry = world.api.list(&format!("receiver={}", two.receiver)).await;
    assert_eq!(entry.body["data"][0], world.api.preauth(&soon).await.body, "an entry is what GET shows");
}
