% rebase("layout", title="Try", live=bool(found.address))
% happened = {"hour": "An hour passed", "day": "A day passed", "lost cookie": "Twilio lost the cookie", "expired": "Nobody texted for so long that the conversation has gone silent", "completed": "Nobody answered the review, so the conversation is completed"}
% if len(found.names) > 1:
<p class="choices">
% for each in found.names:
<a href="{{root}}/console/try/{{quote(each)}}"\\
% if each == found.name:
 aria-current="true"\\
% end
>{{each}}</a>
% end
</p>
% end
<form method="post" action="{{root}}{{found.path}}" class="try">
<input type="hidden" name="steps" value="{{found.script}}">
<input type="hidden" name="started" value="{{found.started}}">
<input type="hidden" name="source" value="{{found.source}}">
% if found.tryout:
% handset = found.handset
<section class="phone" aria-label="Phone">
<p class="secondary"><bdi>{{handset.name or found.questionnaire.stranger}}</bdi>, {{handset.sender}}, texts {{handset.number}}</p>
<div class="screen" tabindex="0" role="log" aria-label="Texts">
<div class="bubbles">
% for event in handset.events:
% if not hasattr(event, "text"):
<p class="system">{{happened[event.what]}}. {{!show_time(event.at)}}</p>
% continue
% end
% if event.read_as == "repeated":
<p class="system">Twilio sent the last webhook again. Nothing changed, and it got the same reply.</p>
% else:
% include("phone_bubble", side="sent", body=event.text.body or "A picture", notes=["a picture came with it"] * len(event.text.media) + [explain_reading(event.read_as), explain_cookie(event.cookie)])
% end
% if event.reply:
% segments = "1 segment" if event.reply.segments == 1 else f"{event.reply.segments} segments"
% because = f" because of {' '.join(map(visible, event.reply.because_of[:5]))}" if event.reply.because_of else ""
% include("phone_bubble", side="came", body=event.reply.body, notes=[segments, event.reply.encoding + because])
% else:
<p class="system">No reply.</p>
% end
% end
% if not handset.events:
<p class="system">Nothing is sent, and nothing is kept. {{f"Text “{found.questionnaire.event}” to begin." if found.questionnaire.event else "Any text begins."}}</p>
% end
</div>
</div>
% if found.is_full:
<p>That was the last step of {{len(found.steps)}}. Save it as a test, or start over.</p>
% else:
<div class="send">
<label for="text" class="secondary">Text</label>
<input id="text" name="text" maxlength="1600" autocomplete="off"\\
% if found.steps:
 autofocus\\
% end
>
<button name="act" value="send">Send</button>
</div>
% if found.taps:
<p class="choices">
% for tap in found.taps:
<button name="tap" value="{{tap}}" class="chip"><bdi>{{tap}}</bdi></button>
% end
</p>
% end
<p class="choices">
% for act, words in (("picture", "Send a picture"), ("stop", "STOP"), ("start", "START"), ("hour", "An hour passes"), ("day", "A day passes"), ("again", "Last webhook again"), ("lose cookie", "Lose the cookie")):
<button name="act" value="{{act}}" class="quiet">{{words}}</button>
% end
% for sender in found.senders:
<button name="sender" value="{{sender}}" class="quiet">Be {{sender}}</button>
% end
</p>
% end
</section>
% end
<section aria-label="Facts">
<p class="choices">
% for source, words in found.sources.items():
<button name="source" value="{{source}}" class="chip" aria-pressed="{{"true" if source == found.source else "false"}}">{{words}}</button>
% end
</p>
% if found.source == "text":
<label for="draft" class="secondary">Questionnaire</label>
<textarea id="draft" name="draft" rows="16" spellcheck="false">
{{found.draft}}</textarea>
<p><button name="source" value="text">Try this text</button></p>
% end
% if found.source == "text" or not found.tryout:
% include("findings")
% end
% if found.tryout:
% newest = handset.newest
<dl class="pairs">
<div><dt>State</dt><dd>{{found.state}}\\
% if newest and newest.state != found.state:
 <span class="secondary">{{newest.state}}</span>\\
% end
% if handset.is_opted_out:
; wants no texts <span class="secondary">opted out</span>\\
% end
</dd></div>
% if newest and newest.current_key:
<div><dt>{{"Waits for" if found.is_waiting else "Asked last"}}</dt><dd><span dir="auto">{{newest.current_prompt}}</span> <span class="secondary">{{newest.current_key}}</span></dd></div>
% end
% if handset.turns:
<div><dt>Last text</dt><dd>{{explain_reading(handset.turns[-1].read_as)}}</dd></div>
% end
<div><dt>Cost so far</dt><dd>{{describe_range(handset.cost, handset.cost)}}</dd></div>
<div><dt>Cost of a {{"text and its reply" if found.questionnaire.is_counter else "completed conversation"}}</dt><dd>{{describe_range(*found.costs)}}</dd></div>
</dl>
% if found.answers:
<table role="table">
<caption>Answers</caption>
<tbody role="rowgroup">
% for key, value in found.answers:
<tr role="row"><th scope="row" role="rowheader">{{key}}</th><td role="cell" dir="auto">{{value}}</td></tr>
% end
</tbody>
</table>
% end
% for result in found.results:
% if result.json:
<h2>Result as JSON</h2>
<pre tabindex="0">{{result.json}}</pre>
% else:
<table role="table">
<caption>Result as fields of a form</caption>
<tbody role="rowgroup">
% for name, value in result.fields:
<tr role="row"><th scope="row" role="rowheader">{{name}}</th><td role="cell" dir="auto">{{value}}</td></tr>
% end
</tbody>
</table>
% end
% end
% if found.receiver:
<p class="secondary">{{"This would go" if found.results else "A result would go"}} to <bdi>{{show_words(found.receiver)}}</bdi>. Nothing is sent from here.</p>
% else:
<p class="secondary">Without [results], the answers stay in the database.</p>
% end
% if found.source != "text":
% include("findings")
% end
<p class="choices">
% if handset.turns:
<button class="quiet" formaction="{{root}}{{found.path}}/test.json">Save as test</button>
% end
% if found.steps:
<button name="act" value="start over" class="quiet">Start over</button>
% end
</p>
% end
</section>
</form>
