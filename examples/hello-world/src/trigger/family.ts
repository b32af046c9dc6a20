import { task } from "@trigger.dev/sdk";

type Order = { id: string; items: { name: string; quantity: number; price: number }[] };

/** A child with a queue of its own: at most two of these run at the same time. */
export const priceItem = task({
  id: "price-item",
  queue: { concurrencyLimit: 2 },
  run: async ({ quantity, price }: { quantity: number; price: number }) => {
    return { total: quantity * price };
  },
});

/** A child the parent waits for on its own. */
export const writeInvoice = task({
  id: "write-invoice",
  run: async ({ orderId, total }: { orderId: string; total: number }) => {
    return `Invoice for order ${orderId}: ${total.toFixed(2)}`;
  },
});

/** The parent: many children at once, then one more with what they returned. */
export const processOrder = task({
  id: "process-order",
  run: async (order: Order) => {
    const priced = await priceItem.batchTriggerAndWait(order.items.map((item) => ({ payload: item })));

    let total = 0;
    for (const item of priced.runs) {
      // Results come in the order of the items; a failed child is a value, not an exception.
      if (!item.ok) throw new Error(`An item of order ${order.id} could not be priced`);
      total += item.output.total;
    }

    // unwrap() turns a failed child into an exception of the parent.
    const invoice = await writeInvoice.triggerAndWait({ orderId: order.id, total }).unwrap();

    return { total, invoice };
  },
});
