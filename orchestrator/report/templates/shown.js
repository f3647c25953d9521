// The last script: tells the others that the whole page is there to work on.
"use strict";
document.dispatchEvent(new Event("orch:shown"));
