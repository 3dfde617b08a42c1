// The form to log in, if the server asks for it.

import { session } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { labelled } from "./dialogs.js";

/* Show the form in an element until the login has succeeded. */
export const login = (element, methods) =>
  new Promise((done) => {
    const problem = h("p", { class: "bad", role: "alert" });
    const user = h("input", { type: "text", autocomplete: "username", required: true });
    const password = h("input", { type: "password", autocomplete: "current-password", required: true });
    const token = h("input", { type: "password", autocomplete: "off", required: true });
    const form = (fields, credentials, button) => {
      const confirm = h("button", { type: "submit", class: "primary" }, button);
      return h(
        "form",
        {
          class: "login",
          "aria-label": button,
          onsubmit: async (event) => {
            event.preventDefault();
            confirm.disabled = true;
            setText(problem, "");
            try {
              await session(credentials());
              done();
            } catch (error) {
              setText(problem, error.message);
            }
            confirm.disabled = false;
          },
        },
        fields,
        confirm,
      );
    };
    fill(
      element,
      h("h2", {}, "Log in"),
      h(
        "p",
        { class: "hint" },
        "This server is not open to everybody. User and password, or the token, are those that it was started with.",
      ),
      problem,
      methods.includes("password")
        ? form(
            [labelled("User", user), labelled("Password", password)],
            () => ({ user: user.value, password: password.value }),
            "Log in",
          )
        : null,
      methods.includes("token")
        ? form(
            [labelled("Token", token)],
            () => ({ token: token.value }),
            methods.includes("password") ? "Log in with the token" : "Log in",
          )
        : null,
    );
    element.querySelector("input")?.focus();
  });
