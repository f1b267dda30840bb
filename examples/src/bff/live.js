// Keeps the steps of an order up to date until nothing more will happen to it.
const place = document.getElementById("live");

async function look() {
  try {
    const answer = await fetch(`${location.pathname}/steps`);
    if (answer.ok) place.innerHTML = await answer.text();
  } catch {
    // The shop may be back at the next look.
  }
  if (!place.querySelector("[data-final]")) setTimeout(look, 300);
}

if (!place.querySelector("[data-final]")) setTimeout(look, 300);
