// The token comes behind the #, which browsers keep to themselves: it is in no log, and leaves by this POST only.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
history.replaceState(null, "", location.pathname);

const page = document.querySelector("main").dataset.page;
const form = document.querySelector("form");
const button = form.querySelector("button");
const password = form.querySelector("#password");

/** Shows one of the page's texts; the last ones take the place of the form. */
function show(id) {
  for (const text of document.querySelectorAll("[role]")) text.hidden = text.id !== id;
  form.hidden = id === "done" || id === "invalid";
}

/** What the answer means for the person. */
async function outcome(response) {
  if (response.ok) return "done";
  const { code } = await response.json();
  if (code === "invalid_mailed_token") return "invalid";
  // The password is all that a person has written.
  return code === "validation_failed" ? (password ? "refused" : "invalid") : "failed";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  try {
    const response = await fetch(page === "reset" ? "../auth/password/reset" : "../auth/email/verify", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(password ? { token, newPassword: password.value } : { token }),
    });
    show(await outcome(response));
  } catch {
    show("failed");
  }
  button.disabled = false;
});

if (!token) show("invalid");
