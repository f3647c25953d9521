"""What tests are made with: servers, processes that die, people, data.  No test lives here."""
