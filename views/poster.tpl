% rebase("layout", title=found.title, section="Files")
<div class="poster">
<p class="lead">Text \\
% if found.event:
<strong dir="auto">{{found.event}}</strong> \\
% else:
<strong>anything</strong> \\
% end
to</p>
% for way in found.ways:
% code = draw_qr_code(way.link)
<figure>
% if code:
<svg class="qr" viewBox="0 0 {{code.size}} {{code.size}}" shape-rendering="crispEdges" role="img" aria-label="QR code: {{way.app}} to {{way.number}}"><rect width="{{code.size}}" height="{{code.size}}" fill="#fff"/><path d="{{code.path}}" fill="#000"/></svg>
% end
<figcaption><span class="number">{{way.number}}</span> {{way.app}}</figcaption>
</figure>
% end
</div>
% if not found.ways:
<p>No number is known yet. Write <code>to = ["+14155550100"]</code> with your number into the file, or text it once.</p>
% end
% if any(not draw_qr_code(way.link) for way in found.ways):
<p class="no-print">The text is too long for a QR code. Choose a shorter event.</p>
% end
<p class="no-print secondary">Print this page: Ctrl+P, or Share and Print on a phone. A code opens a text that is only to be sent.</p>
