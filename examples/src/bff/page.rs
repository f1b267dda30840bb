//! The pages: written by the server, without a build step, and of use without their one script.

use maud::{DOCTYPE, Markup, html};

use super::parts::{Missing, Order, Overview, Product, User};
use crate::id;
use crate::problem::Problem;

/// For who is not logged in: who there is, and what there is.
pub fn welcome(users: &[User], products: &[Product], missing: &[Missing]) -> Markup {
    let content = html! {
        (left_out(missing))
        h2 { "Who are you?" }
        form method="post" action="/login" {
            select name="user_id" { @for user in users { option value=(user.id) { (user.name) } } }
            " " input type="password" name="password" placeholder="password" required;
            " " button id="login" { "Log in" }
        }
        h2 { "Users" }
        table id="users" {
            tr { th { "Name" } th { "Address" } }
            @for user in users { tr { td { (user.name) } td { (user.email) } } }
        }
        h2 { "Products" }
        (list(products, false))
    };
    page("Welcome", content)
}

/// For who is logged in.
pub fn front(overview: &Overview) -> Markup {
    let name = overview.user.as_ref().map_or("you", |user| &user.name);
    let content = html! {
        (left_out(&overview.missing))
        p { "Logged in as " strong id="user" { (name) } " " form method="post" action="/logout" { button { "Log out" } } }
        h2 { "Products" }
        (list(&overview.products, true))
        h2 { "Orders" }
        table id="orders" {
            tr { th { "Order" } th { "Items" } th { "How" } th { "Status" } th { "Total" } }
            @for order in &overview.orders {
                tr {
                    td { a href={ "/web/orders/" (order.id) } { (order.id) } }
                    td { (items(order)) }
                    td { (order.mode) }
                    td class=(order.status) { (order.status) }
                    td.number { (money(order.total_cents)) }
                }
            }
        }
    };
    page("The shop", content)
}

/// One order, with its steps as they happen.
pub fn order(order: &Order) -> Markup {
    let content = html! {
        p { a href="/web" { "Back to the shop" } }
        p { (items(order)) ", " (money(order.total_cents)) ", by " (order.mode) }
        div id="live" { (steps(order)) }
        script src="/web/live.js" {}
    };
    page(&format!("Order {}", order.id), content)
}

/// The part of an order's page that changes.
pub fn steps(order: &Order) -> Markup {
    let is_final = order.status != "pending";
    html! {
        p {
            "It is " strong id="status" class=(order.status) data-final[is_final] { (order.status) }
            @if let Some(reason) = &order.reason { ": " (reason) }
        }
        table id="steps" {
            tr { th { "Step" } th { "State" } th { "Attempts" } th { "What came of it" } }
            @for step in &order.steps {
                tr {
                    td { (step.name) }
                    td class=(step.state) { (step.state) }
                    td.number { (step.attempts) }
                    td { (step.detail.as_deref().unwrap_or_default()) }
                }
            }
        }
        @if order.status == "completed" {
            form method="post" action={ "/web/orders/" (order.id) "/cancel" } { button id="cancel" { "Cancel it" } }
        }
    }
}

/// What went wrong, for a person.
pub fn trouble(problem: &Problem) -> Markup {
    let content = html! {
        p.missing id="problem" { (problem.detail()) }
        p { a href="/web" { "Back to the shop" } }
    };
    page("That did not work", content)
}

fn page(title: &str, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (title) }
                link rel="stylesheet" href="/web/shop.css";
            }
            body { h1 { (title) } (content) }
        }
    }
}

fn left_out(missing: &[Missing]) -> Markup {
    html! {
        @for one in missing {
            p.missing { (one.part) " does not answer just now, so its part of this page is left out." }
        }
    }
}

fn list(products: &[Product], can_order: bool) -> Markup {
    html! {
        table id="products" {
            tr { th { "Product" } th { "What it is" } th { "Price" } @if can_order { th {} } }
            @for product in products {
                tr {
                    td { (product.name) }
                    td { (product.description) }
                    td.number { (money(product.price_cents)) }
                    @if can_order { td { (order_form(product.id)) } }
                }
            }
        }
    }
}

fn order_form(product: i64) -> Markup {
    html! {
        form method="post" action="/web/orders" {
            input type="hidden" name="key" value=(id::fresh());
            input type="hidden" name="product_id" value=(product);
            input type="number" name="quantity" value="1" min="1" max="1000" aria-label="Quantity";
            " " select name="mode" aria-label="How" {
                @for mode in ["saga", "2pc", "choreography"] { option { (mode) } }
            }
            " " button id={ "order-" (product) } { "Order" }
        }
    }
}

fn items(order: &Order) -> Markup {
    html! {
        @for (index, item) in order.items.iter().enumerate() {
            @if index > 0 { ", " }
            (item.quantity) " × " (item.name)
        }
    }
}

fn money(cents: i64) -> String {
    format!("{}{}.{:02} €", if cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100)
}
